"""The control that any model must beat."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genbench.core import ImageSpec, SeededNoise
from genbench.core.pixels import from_levels, to_uint8
from genbench.evaluation.sources.base import ImageSource


class NoiseSource(ImageSource):
    """Independent pixels, uniform over the data's grey levels; image i is labelled i modulo the classes.

    Its caption is number i modulo the `prompts`, where there are any.
    """

    def __init__(self, spec: ImageSpec, prompts: Sequence[str] | None = None) -> None:
        super().__init__("noise", None)
        self.spec, self.prompts = spec, prompts

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        level = (SeededNoise(seed, indices).uniform(*self.spec.shape) * self.spec.levels).floor()
        return to_uint8(from_levels(level, self.spec.levels), self.spec.levels), cyclic_labels(self.spec, indices)

    def captions(self, indices: Sequence[int]) -> list[str] | None:
        return cyclic_captions(self.prompts, indices)


def cyclic_labels(spec: ImageSpec, indices: Sequence[int]) -> Tensor | None:
    """Labels int64 [B], index modulo the number of classes; None for data without classes."""
    return torch.tensor(indices, dtype=torch.int64) % spec.num_classes if spec.num_classes else None


def cyclic_captions(prompts: Sequence[str] | None, indices: Sequence[int]) -> list[str] | None:
    """Captions [B], index modulo the number of prompts; None without prompts."""
    return [prompts[index % len(prompts)] for index in indices] if prompts else None
