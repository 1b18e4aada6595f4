"""Randomness as an argument: losses and samplers draw from a `Noise`, never from the global generator.

Training draws from one fast stream for the whole batch at once: whoever sees a part of the batch, a device or a piece
that is accumulated, gets the rows of its images, so that a batch is the same however it is split. Sampling gives every
image a generator of its own, so image 17 is the same in any batch and on any number of processes (the habit of Karras
et al., EDM2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


class Noise(Protocol):
    """A source of random numbers for one batch of `len(noise)` images."""

    def __len__(self) -> int: ...

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32 [B, *shape]."""
        ...

    def uniform(self, *shape: int) -> Tensor:
        """Uniform float32 in [0,1), [B, *shape]."""
        ...

    def strata(self) -> Tensor:
        """Uniform float32 in [0,1), [B], spread evenly over the whole batch from one random start."""
        ...


class StreamNoise:
    """Noise for `batch` images from one stream, torch's global one if none is given: fast, the choice of training."""

    def __init__(
        self, batch: int, device: torch.device | str = "cpu", generator: torch.Generator | None = None
    ) -> None:
        self.batch, self.device, self.generator = batch, device, generator
        self._dealt: list[Tensor] = []

    def __len__(self) -> int:
        return self.batch

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.batch, *shape, device=self.device, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.batch, *shape, device=self.device, generator=self.generator)

    def strata(self) -> Tensor:
        return _spread(self.uniform())

    def part(self, start: int, stop: int) -> Noise:
        """The noise of images `start` to `stop`; parts that ask for the same numbers in turn share one drawing."""
        return self if stop - start == self.batch else _Part(self, self._dealt, slice(start, stop))


class _Part:
    """Rows of what is drawn for a whole batch: the first part to ask for numbers draws them, the others find them."""

    def __init__(self, whole: StreamNoise, dealt: list[Tensor], rows: slice) -> None:
        self._whole, self._dealt, self._rows, self._asked = whole, dealt, rows, 0

    def __len__(self) -> int:
        return int(self._rows.stop - self._rows.start)

    def normal(self, *shape: int) -> Tensor:
        return self._rows_of(lambda: self._whole.normal(*shape))

    def uniform(self, *shape: int) -> Tensor:
        return self._rows_of(lambda: self._whole.uniform(*shape))

    def strata(self) -> Tensor:
        return self._rows_of(self._whole.strata)

    def _rows_of(self, draw: Callable[[], Tensor]) -> Tensor:
        if self._asked == len(self._dealt):
            self._dealt.append(draw())
        self._asked += 1
        return self._dealt[self._asked - 1][self._rows]


class SeededNoise:
    """Noise with one generator per image, seeded by (seed, index) alone.

    Numbers are drawn on the CPU and moved, so an image is the same on every kind of device up to
    the arithmetic of its network.
    """

    def __init__(self, seed: int, indices: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.device = device
        self.generators = [torch.Generator().manual_seed(image_seed(seed, int(i))) for i in indices]

    def __len__(self) -> int:
        return len(self.generators)

    def normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(shape, generator=g) for g in self.generators]).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        return torch.stack([torch.rand(shape, generator=g) for g in self.generators]).to(self.device)

    def strata(self) -> Tensor:
        return _spread(self.uniform())


def _spread(uniform: Tensor) -> Tensor:
    """Numbers [B], one in every stratum: the first, and steps of 1/B on from it (Kingma et al. 2021, appendix I.1)."""
    count = len(uniform)
    return (uniform[0] + torch.arange(count, device=uniform.device) / count) % 1.0


def image_seed(seed: int, index: int) -> int:
    """A 32-bit seed for image `index` of sampling seed `seed`, different for every index below 2^32.

    torch's CPU generator keeps 32 bits of a seed, so anything longer would only hide collisions.
    """
    return _mix(_mix(seed) ^ (index & _MASK))


def _mix(x: int) -> int:
    """A one-to-one scrambling of 32 bits (the finaliser of MurmurHash3)."""
    x &= _MASK
    x = (x ^ (x >> 16)) * 0x85EBCA6B & _MASK
    x = (x ^ (x >> 13)) * 0xC2B2AE35 & _MASK
    return x ^ (x >> 16)
