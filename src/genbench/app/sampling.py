"""Drawing images from a model, and keeping them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from genbench.core import ConfigError, GenerativeModel
from genbench.core.files import write_atomically
from genbench.core.grid import image_grid
from genbench.evaluation.sources import ModelSource


def draw(
    model: GenerativeModel, n: int, seed: int = 0, classes: Sequence[int] | None = None, batch: int = 250
) -> tuple[Tensor, Tensor | None]:
    """Uint8 images [n,C,H,W] and their labels; image i depends on (seed, i) and its class, all `classes` in turn.

    Raises:
        ConfigError: classes the model does not have.
    """
    if classes is not None and not model.conditional:
        raise ConfigError("labels were asked for, but this run is unconditional: drop labels")
    if classes is not None and not classes:
        raise ConfigError("labels=[] names no class: give labels=[0,1], or leave it out for all of them")
    wrong = [label for label in classes or [] if label >= model.spec.num_classes]
    if wrong:
        raise ConfigError(f"labels={wrong} are not among the run's classes 0 to {model.spec.num_classes - 1}")
    images, labels = [], []
    with tqdm(total=n, desc="sampling", unit="img", leave=False) as bar:
        for image, label in ModelSource(model, "samples", classes).batches(n, batch, seed):
            images.append(image)
            labels.append(label)
            bar.update(len(image))
    return torch.cat(images), torch.cat([x for x in labels if x is not None]) if model.conditional else None


def save(path: Path, images: Tensor, label: Tensor | None) -> None:
    """Writes an npz in the layout of ADM's evaluator, atomically."""
    arrays = {"arr_0": images.permute(0, 2, 3, 1).numpy()}
    if label is not None:
        arrays["arr_1"] = label.numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def write_sheet(path: Path, images: Tensor, most: int = 256) -> None:
    """Writes the first images as a PNG sheet, ten a row where classes take turns by ten."""
    buffer = io.BytesIO()
    image_grid(images[:most], columns=10 if len(images) % 10 == 0 else None).save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())
