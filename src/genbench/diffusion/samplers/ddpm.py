"""Ancestral sampling."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

from torch import Tensor

from genbench.core import Count, Noise
from genbench.diffusion.denoiser import Denoiser, HasVariance
from genbench.diffusion.posterior import interpolated, posterior
from genbench.diffusion.samplers.base import FixedSteps
from genbench.diffusion.schedules import NoiseSchedule


@dataclass(eq=False)
class DDPM(FixedSteps):
    """Draws x_s from the posterior q(x_s | x_t, x0) on a possibly coarser grid (Ho et al. 2020, eqs. 6-7).

    `variance` is the posterior's, small, or that of the step forward, large (their section 3.2); a denoiser that has
    learned its own replaces it (Nichol & Dhariwal 2021, eq. 15).
    """

    order: ClassVar[int | None] = 1
    steps: Count = 250
    variance: Literal["small", "large"] = "small"

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        for now, after in pairwise(self.path(schedule)):
            back = posterior(now.alpha, now.sigma, after.alpha, after.sigma)
            std: float | Tensor = math.sqrt(back.variance if self.variance == "small" else back.beta)
            if isinstance(denoise, HasVariance):
                x0, fraction = denoise.with_variance(x, now.t)
                if back.variance > 0.0:
                    std = (0.5 * interpolated(fraction, back.variance, back.beta)).exp()
            else:
                x0 = denoise(x, now.t)
            x = back.from_x0 * x0 + back.from_xt * x
            if back.variance > 0.0:
                x = x + std * noise.normal(*x.shape[1:])
        return x
