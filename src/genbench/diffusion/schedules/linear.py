"""Betas that rise linearly."""

import torch
from torch import Tensor

from genbench.core import ConfigError
from genbench.diffusion.schedules.base import VariancePreserving


class Linear(VariancePreserving):
    """Betas rising linearly (Ho et al. 2020, section 4); their range is scaled by 1000/steps.

    alpha^2 is their exact running product at the times i/steps and log-linear between them.
    """

    def __init__(self, steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02, shift: float = 1.0) -> None:
        super().__init__(steps, shift)
        scale = 1000.0 / steps
        if not 0.0 < beta_start * scale <= beta_end * scale < 1.0:
            raise ConfigError(
                f"scheduler betas {beta_start}..{beta_end} scaled by 1000/{steps} leave (0,1): "
                "use scheduler.steps=1000 or more, or smaller betas"
            )
        self.intervals = steps
        betas = torch.linspace(beta_start * scale, beta_end * scale, steps, dtype=torch.float64)
        self.decay = torch.cat([torch.zeros(1, dtype=torch.float64), -torch.log1p(-betas).cumsum(0)])  # -log alpha^2

    def unshifted_level(self, t: Tensor) -> Tensor:
        table, position = self.decay.to(t.device), t * self.intervals
        low = position.floor().long().clamp(max=self.intervals - 1)
        return torch.lerp(table[low], table[low + 1], position - low).expm1().sqrt()

    def unshifted_time(self, level: Tensor) -> Tensor:
        table, decay = self.decay.to(level.device), level.square().log1p()
        high = torch.searchsorted(table, decay).clamp(1, self.intervals)
        return (high - 1 + (decay - table[high - 1]) / (table[high] - table[high - 1])) / self.intervals
