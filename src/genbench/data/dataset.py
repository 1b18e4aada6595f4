"""What a dataset is: facts about its images and two tables of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Literal

import torch
from torch import Tensor

from genbench.core import DataError, ImageSpec
from genbench.core.pixels import from_levels, to_uint8
from genbench.data.images import ImageTable

Split = Literal["train", "test"]


class ImageDataset(ABC):
    """A named dataset: `spec` are its facts, `flip` says whether training mirrors images at random.

    `found` is what the data are; `spec` is what the config says of them, or None to take `found`.

    Raises:
        DataError: `spec` differs from `found`, or images that are neither grey nor RGB.
    """

    def __init__(self, name: str, found: ImageSpec, spec: ImageSpec | None = None, flip: bool = False) -> None:
        if found.channels not in (1, 3):
            raise DataError(f"{name}: the images have {found.channels} channels; expected 1 (grey) or 3 (RGB)")
        self.name, self.spec, self.flip = name, agreed(name, found, spec), flip

    @abstractmethod
    def table(self, split: Split) -> ImageTable:
        """The images of one split, read once and kept.

        Raises:
            DataError: images that are missing, unreadable or unlike `spec`.
        """


def agreed(name: str, found: ImageSpec, spec: ImageSpec | None) -> ImageSpec:
    """`found`, once `spec` (if any) is seen to say the same.

    Raises:
        DataError: naming every field that differs.
    """
    wrong = {
        f.name: (getattr(spec, f.name), getattr(found, f.name))
        for f in fields(ImageSpec)
        if spec is not None and getattr(spec, f.name) != getattr(found, f.name)
    }
    if wrong:
        said = ", ".join(f"{field} is {stated} but the data have {true}" for field, (stated, true) in wrong.items())
        fix = " ".join(f"data.spec.{field}={true}" for field, (_, true) in wrong.items())
        raise DataError(f"{name}: in data.spec, {said}; type {fix}")
    return found


def check_labels(name: str, label: Tensor | None, num_classes: int) -> None:
    """Refuses labels outside 0..num_classes-1.

    Raises:
        DataError: naming the first such label and its index.
    """
    if label is None:
        return
    wrong = ((label < 0) | (label >= num_classes)).nonzero()
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"{name}: image {first} has label {int(label[first])}; expected 0 to {num_classes - 1} "
            f"for data.spec.num_classes={num_classes} (the largest label is {int(label.max())})"
        )


def check_levels(name: str, image: Tensor, levels: int) -> None:
    """Refuses uint8 images with a byte that is none of the `levels` grey levels.

    Raises:
        DataError: naming the first such byte.
    """
    allowed = to_uint8(from_levels(torch.arange(levels), levels), levels)
    stray = torch.bincount(image.flatten(), minlength=256).nonzero().flatten()
    stray = stray[~torch.isin(stray, allowed.long())]
    if len(stray):
        raise DataError(
            f"{name}: pixels have the value {int(stray[0])}, which is none of data.spec.levels={levels} "
            f"(level k is stored as the byte round(255 k / {levels - 1})); type data.spec.levels=256"
        )
