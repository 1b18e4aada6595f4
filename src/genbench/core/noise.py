"""Randomness as an argument: losses and samplers draw from a `Noise`, never from the global generator.

Training draws from the fast global stream. Sampling gives every image a generator of its own, so image 17
is the same in any batch and on any number of processes (the habit of Karras et al., EDM2).
"""

from __future__ import annotations

from collections.abc import Sequence
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


class StreamNoise:
    """Noise for `batch` images from torch's global generator: fast, the choice of training."""

    def __init__(self, batch: int, device: torch.device | str = "cpu") -> None:
        self.batch, self.device = batch, device

    def __len__(self) -> int:
        return self.batch

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.batch, *shape, device=self.device)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.batch, *shape, device=self.device)


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
