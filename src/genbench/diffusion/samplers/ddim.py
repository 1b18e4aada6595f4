"""Denoising diffusion implicit models."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from genbench.core import ConfigError, Noise
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.posterior import posterior
from genbench.diffusion.samplers.base import FixedSteps
from genbench.diffusion.schedules import NoiseSchedule


@dataclass(eq=False)
class DDIM(FixedSteps):
    """Song et al. 2021, eq. 12: eta = 0 is deterministic, eta = 1 has the ancestral variance.

    With eta = 0 it is Euler's method both on rectified flow in t and on EDM's schedule in sigma.
    """

    order: ClassVar[int | None] = 1
    eta: float = 0.0

    def check_knobs(self) -> None:
        if not 0.0 <= self.eta <= 1.0:
            raise ConfigError(f"sampler.eta is {self.eta}; expected 0 (deterministic) to 1 (ancestral)")

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        for now, after in pairwise(self.path(schedule)):
            x0 = denoise(x, now.t)
            eps = (x - now.alpha * x0) / now.sigma

            # eq. 16: the part of the next step's noise that is drawn afresh
            fresh = self.eta * math.sqrt(posterior(now.alpha, now.sigma, after.alpha, after.sigma).variance)
            kept = math.sqrt(max(after.sigma**2 - fresh**2, 0.0))

            x = after.alpha * x0 + kept * eps
            if fresh > 0.0:
                x = x + fresh * noise.normal(*x.shape[1:])
        return x
