"""Drawing images from a model, and keeping them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from genbench.core import ConfigError, GenerativeModel
from genbench.core.files import write_atomically
from genbench.core.grid import image_grid
from genbench.evaluation.sources import ModelSource


class Drawn(NamedTuple):
    """Uint8 images [n,C,H,W], their labels int64 [n] or None, and the captions they were drawn from or None."""

    image: Tensor
    label: Tensor | None
    caption: list[str] | None


def draw(
    model: GenerativeModel,
    n: int,
    seed: int = 0,
    classes: Sequence[int] | None = None,
    batch: int = 250,
    prompts: Sequence[str] | None = None,
) -> Drawn:
    """Images of a seed; image i depends on (seed, i) and its class or prompt, all `classes` or `prompts` in turn.

    Raises:
        ConfigError: classes the model does not have, or no prompts for a model that reads captions.
    """
    if classes is not None and not model.conditional:
        kind = "reads captions: give a prompt and" if model.reads_captions else "is unconditional:"
        raise ConfigError(f"labels were asked for, but this run {kind} drop labels")
    if classes is not None and not classes:
        raise ConfigError("labels=[] names no class: give labels=[0,1], or leave it out for all of them")
    wrong = [label for label in classes or [] if label >= model.spec.num_classes]
    if wrong:
        raise ConfigError(f"labels={wrong} are not among the run's classes 0 to {model.spec.num_classes - 1}")
    return collect(ModelSource(model, "samples", classes, prompts=prompts), n, seed, batch)


def collect(source: ModelSource, n: int, seed: int = 0, batch: int = 250) -> Drawn:
    """The n images of a seed from a model, with the labels and captions they were drawn from."""
    images, labels = [], []
    with tqdm(total=n, desc="sampling", unit="img", leave=False) as bar:
        for image, label in source.batches(n, batch, seed):
            images.append(image)
            labels.append(label)
            bar.update(len(image))
    label = torch.cat([x for x in labels if x is not None]) if source.model.conditional else None
    return Drawn(torch.cat(images), label, source.captions(range(n)))


def save(path: Path, images: Tensor, label: Tensor | None, caption: list[str] | None = None) -> None:
    """Writes an npz in the layout of ADM's evaluator, with any captions under `captions`, atomically."""
    arrays = {"arr_0": images.permute(0, 2, 3, 1).numpy()}
    if label is not None:
        arrays["arr_1"] = label.numpy()
    if caption is not None:
        arrays["captions"] = np.array(caption)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def write_sheet(path: Path, images: Tensor, most: int = 256) -> None:
    """Writes the first images as a PNG sheet, ten a row where classes take turns by ten."""
    buffer = io.BytesIO()
    image_grid(images[:most], columns=10 if len(images) % 10 == 0 else None).save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())
