"""The contract of anything that can be judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genbench.core import DataError


@dataclass
class SamplingCost:
    """What drawing has cost so far: images, wall-clock seconds, and network evaluations of single images."""

    images: int = 0
    seconds: float = 0.0
    evaluations: int = 0

    @property
    def seconds_per_1k(self) -> float:
        """Seconds per 1 000 images."""
        return 1000.0 * self.seconds / self.images

    @property
    def nfe(self) -> float:
        """Network evaluations per image."""
        return self.evaluations / self.images

    def __iadd__(self, other: SamplingCost) -> SamplingCost:
        # in place: sources that wrap another share its cost
        self.images += other.images
        self.seconds += other.seconds
        self.evaluations += other.evaluations
        return self

    def __sub__(self, other: SamplingCost) -> SamplingCost:
        return SamplingCost(
            self.images - other.images, self.seconds - other.seconds, self.evaluations - other.evaluations
        )


class ImageSource(ABC):
    """Images to judge: `size` of them, or as many as asked for where `size` is None.

    `cost` is kept by sources that make their images; `once` marks one that cannot be drawn from for a second seed.
    """

    def __init__(self, name: str, size: int | None, cost: SamplingCost | None = None, once: bool = False) -> None:
        self.name, self.size, self.cost, self.once = name, size, cost, once

    @abstractmethod
    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Uint8 images [B,C,H,W] number `indices` of sampling seed `seed`, and their labels int64 [B] or None.

        An image depends on its own index and the seed alone; stored images do not depend on the seed.

        Raises:
            DataError: an image that cannot be read.
        """

    def captions(self, indices: Sequence[int]) -> list[str] | None:
        """What the images number `indices` were asked, or are said, to show; None where nothing says so."""
        return None

    def choice(self, n: int, seed: int) -> Sequence[int]:
        """Which n images are number 0..n-1 of a seed: those very numbers, or a random subset of more than n.

        Raises:
            DataError: there are fewer than n.
        """
        if self.size is None or self.size == n:
            return range(n)
        if self.size < n:
            raise DataError(
                f"{self.name} has {self.size} images, the protocol asks for {n}: add images, or set "
                f"protocol.samples={self.size} or less"
            )
        generator = torch.Generator().manual_seed(seed)
        chosen: list[int] = torch.randperm(self.size, generator=generator)[:n].tolist()
        return chosen

    def batches(self, n: int, batch: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The n images of a seed, `batch` at a time; which they are does not depend on `batch`."""
        indices = self.choice(n, seed)
        for start in range(0, n, batch):
            yield self.draw(seed, indices[start : start + batch])
