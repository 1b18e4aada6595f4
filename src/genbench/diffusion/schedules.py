"""Noise schedules: how much signal and how much noise at each time.

x_t = alpha(t) x_0 + sigma(t) eps with t in [0,1]; t = 0 is the image, t = 1 is (almost) pure noise.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genbench.core import ConfigError


class NoiseSchedule(ABC):
    """A variance-preserving schedule, alpha^2 + sigma^2 = 1, trained at the times i/steps, i = 1..steps."""

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise ConfigError(f"scheduler.steps is {steps}; expected at least 1 (1000 is the common choice)")
        self.steps = steps

    @abstractmethod
    def alpha_bar(self, t: Tensor) -> Tensor:
        """alpha(t)^2 in float64, falling from 1 at t = 0."""

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha(t) and sigma(t), with the shape and precision of `t`."""
        alpha_bar = self.alpha_bar(t.double())
        return alpha_bar.sqrt().to(t.dtype), (1.0 - alpha_bar).sqrt().to(t.dtype)

    def times(self, uniform: Tensor) -> Tensor:
        """Training times on the grid i/steps for uniform numbers in [0,1)."""
        return ((uniform * self.steps).floor() + 1.0) / self.steps

    def grid(self, steps: int) -> Tensor:
        """Sampling times float64 [steps+1] from 1 down to 0, on the training grid, evenly spaced from its end.

        Raises:
            ConfigError: more sampling steps than training steps.
        """
        if not 1 <= steps <= self.steps:
            raise ConfigError(f"sampler.steps is {steps}; expected 1 to scheduler.steps={self.steps}")
        return torch.linspace(self.steps, 0, steps + 1, dtype=torch.float64).round() / self.steps


class Linear(NoiseSchedule):
    """Betas rising linearly (Ho et al. 2020, section 4); the range is scaled by 1000/steps.

    alpha_bar is their exact running product at the grid times and log-linear between them.
    """

    def __init__(self, steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02) -> None:
        super().__init__(steps)
        scale = 1000.0 / steps
        if not 0.0 < beta_start * scale <= beta_end * scale < 1.0:
            raise ConfigError(
                f"scheduler betas {beta_start}..{beta_end} scaled by 1000/{steps} leave (0,1): "
                "use scheduler.steps=1000 or more, or smaller betas"
            )
        betas = torch.linspace(beta_start * scale, beta_end * scale, steps, dtype=torch.float64)
        self.log_alpha_bar = torch.cat([torch.zeros(1, dtype=torch.float64), torch.log1p(-betas).cumsum(0)])

    def alpha_bar(self, t: Tensor) -> Tensor:
        table = self.log_alpha_bar.to(t.device)
        position = t.double().clamp(0.0, 1.0) * self.steps
        low = position.floor().long().clamp(max=self.steps - 1)
        return torch.lerp(table[low], table[low + 1], position - low).exp()


class Cosine(NoiseSchedule):
    """Squared cosine (Nichol & Dhariwal 2021, eq. 17); `floor` keeps a trace of signal at t = 1."""

    def __init__(self, steps: int = 1000, offset: float = 0.008, floor: float = 1e-6) -> None:
        super().__init__(steps)
        self.offset, self.floor = offset, floor

    def alpha_bar(self, t: Tensor) -> Tensor:
        def f(t: Tensor) -> Tensor:
            return torch.cos((t + self.offset) / (1.0 + self.offset) * (math.pi / 2)) ** 2

        return (f(t.double()) / f(torch.zeros((), dtype=torch.float64))).clamp(self.floor, 1.0)
