"""The contract of a diffusion sampler."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

from genbench.core import ConfigError, Noise
from genbench.diffusion.schedules import NoiseSchedule

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x_t [B,C,H,W], t float64 scalar in (0,1]) -> expected image x0 [B,C,H,W]."""


class DiffusionSampler(ABC):
    """Walks from t = 1 to t = 0 in `steps` steps.

    `guidance` scales classifier-free guidance: 1 is the conditional model, 0 the unconditional one,
    other values cost two network evaluations a step (Ho & Salimans 2022).
    """

    def __init__(self, steps: int, guidance: float) -> None:
        if steps < 1:
            raise ConfigError(f"sampler.steps is {steps}; expected at least 1")
        self.steps, self.guidance = steps, guidance

    @abstractmethod
    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        """Images for the standard normal start `x` [B,C,H,W]."""
