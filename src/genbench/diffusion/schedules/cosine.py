"""The squared cosine."""

import math

import torch
from torch import Tensor

from genbench.diffusion.schedules.base import VariancePreserving


class Cosine(VariancePreserving):
    """Squared cosine (Nichol & Dhariwal 2021, eq. 17); `floor` keeps a trace of signal at t = 1."""

    def __init__(
        self, steps: int | None = 1000, offset: float = 0.008, floor: float = 1e-6, shift: float = 1.0
    ) -> None:
        super().__init__(steps, shift)
        self.offset, self.floor = offset, floor
        self.start = math.cos(offset / (1.0 + offset) * math.pi / 2) ** 2

    def unshifted_level(self, t: Tensor) -> Tensor:
        squared = torch.cos((t + self.offset) / (1.0 + self.offset) * (math.pi / 2)).square()
        # a floor that is mixed in keeps the level rising up to t = 1, where a clamped one would stand still
        alpha_bar = self.floor + (1.0 - self.floor) * (squared / self.start).clamp(0.0, 1.0)
        return ((1.0 - alpha_bar) / alpha_bar).sqrt()

    def unshifted_time(self, level: Tensor) -> Tensor:
        alpha_bar = ((1.0 + level.square()).reciprocal() - self.floor) / (1.0 - self.floor)
        cosine = (self.start * alpha_bar.clamp(min=0.0)).sqrt()
        return cosine.acos() * (2 / math.pi) * (1.0 + self.offset) - self.offset
