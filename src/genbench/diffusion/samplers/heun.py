"""The sampler of EDM."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from genbench.core import ConfigError, Count, Noise
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.samplers.base import FixedSteps
from genbench.diffusion.samplers.grid import Grid
from genbench.diffusion.samplers.ode import HEUN2, step, velocity
from genbench.diffusion.schedules import NoiseSchedule


@dataclass(eq=False)
class Heun(FixedSteps):
    """Heun's method with churn (Karras et al. 2022, algorithm 2): 2 steps - 1 evaluations.

    `s_churn` noise is added within the levels `s_min` to `s_max`, its deviation times `s_noise`; 0 is deterministic.
    """

    order: ClassVar[int | None] = 2
    steps: Count = 18
    s_churn: float = 0.0
    s_min: float = 0.0
    s_max: float | None = None
    s_noise: float = 1.0
    grid: Grid = "karras"

    def check_knobs(self) -> None:
        if self.s_churn < 0.0 or self.s_noise <= 0.0:
            raise ConfigError(
                f"sampler.s_churn={self.s_churn}, s_noise={self.s_noise}: expected 0 or more, and a positive factor"
            )
        if self.s_max is not None and not self.s_min < self.s_max:
            raise ConfigError(f"sampler.s_min={self.s_min}, s_max={self.s_max}: expected s_min below s_max, or null")

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        slope, noisiest = velocity(denoise, schedule), schedule.level(torch.ones((), dtype=torch.float64))
        gamma = min(self.s_churn / self.steps, math.sqrt(2.0) - 1.0)
        for now, after in pairwise(self.path(schedule)):
            level = now.level

            # lines 4-6: raise the noise level for a moment
            if gamma > 0.0 and self.s_min <= level <= (math.inf if self.s_max is None else self.s_max):
                raised = (level * (1.0 + gamma)).minimum(noisiest)
                alpha, _ = schedule.scales(raised)
                fresh = alpha * (raised.square() - level.square()).clamp(min=0.0).sqrt() * self.s_noise
                if fresh > 0.0:
                    x = alpha / now.alpha * x + fresh * noise.normal(*x.shape[1:])
                    level = raised

            # lines 7-12: Euler's step, corrected by the slope at its end
            if after.sigma == 0.0:
                return denoise(x, schedule.time_of(level))
            here, there = schedule.position(level), schedule.position(after.level)
            x = step(slope, x, here, there - here, HEUN2)
        return x
