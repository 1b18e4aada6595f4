"""Sampling by a consistency function."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from genbench.core import ConfigError, Noise
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.samplers.base import DiffusionSampler
from genbench.diffusion.schedules import NoiseSchedule


@dataclass(eq=False)
class Consistency(DiffusionSampler):
    """Jumps to the image at once, then again from each of the noise levels sigma/alpha (Song et al. 2023, alg. 1).

    1 + len(levels) evaluations; the level is that of Song & Dhariwal 2024, section 3.4.
    """

    order: ClassVar[int | None] = None
    levels: Sequence[float] = (0.821,)

    def check(self) -> None:
        falling = all(now > after for now, after in pairwise(self.levels))
        if not falling or not all(level > 0.0 for level in self.levels):
            raise ConfigError(
                f"sampler.levels is {list(self.levels)}; expected falling positive noise levels, such as [0.821] for "
                "two steps, or [] for one"
            )

    def fit(self, schedule: NoiseSchedule) -> None:
        start = float(schedule.level(torch.ones((), dtype=torch.float64)))
        if self.levels and self.levels[0] >= start:
            raise ConfigError(
                f"sampler.levels is {list(self.levels)}; use levels below {start:g}, where this schedule starts"
            )

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        x0 = denoise(x, torch.ones((), dtype=torch.float64))
        for level in torch.tensor(self.levels, dtype=torch.float64):
            alpha, sigma = schedule.scales(level)
            x = alpha * x0 + sigma * noise.normal(*x.shape[1:])
            x0 = denoise(x, schedule.time_of(level))
        return x0
