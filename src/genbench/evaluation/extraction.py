"""From images to the table that metrics read."""

from collections.abc import Iterable

import torch
from torch import Tensor
from tqdm import tqdm

from genbench.features import FeatureExtractor
from genbench.metrics import FeatureTable

Batches = Iterable[tuple[Tensor, Tensor | None]]
"""Uint8 images [B,C,H,W], with labels int64 [B] or None; B may differ from batch to batch."""


@torch.no_grad()
def extract(batches: Batches, extractor: FeatureExtractor, total: int, progress: str | None = None) -> FeatureTable:
    """The features of every image, in order; `progress` titles a bar over `total` images, None shows none."""
    features, logits, labels = [], [], []
    device = next(extractor.parameters()).device
    with tqdm(total=total, desc=progress, unit="img", disable=progress is None, leave=False) as bar:
        for image, label in batches:
            out = extractor(image.to(device))
            features.append(out["features"].float().cpu())
            logits.append(out["logits"].float().cpu())
            if label is not None:
                labels.append(label.cpu())
            bar.update(len(image))
    return FeatureTable(
        torch.cat(features), torch.cat(logits), torch.cat(labels) if labels else None, extractor.classifies
    )
