"""A table of betas."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genbench.core import ConfigError
from genbench.diffusion.schedules.base import VariancePreserving


class Betas(VariancePreserving):
    """Given variances of the steps forward (Ho et al. 2020, eq. 2), one for each of T times.

    alpha^2 is the exact running product of 1 - beta at the times i/T and log-linear between them.
    """

    def __init__(self, betas: Sequence[float], shift: float = 1.0) -> None:
        super().__init__(len(betas), shift)
        if not all(0.0 < beta < 1.0 for beta in betas):
            raise ConfigError("scheduler.betas are not all between 0 and 1: no schedule ends without any signal")
        self.intervals = len(betas)
        decay = -torch.log1p(-torch.tensor(betas, dtype=torch.float64)).cumsum(0)
        self.decay = torch.cat([torch.zeros(1, dtype=torch.float64), decay])  # -log alpha^2

    def unshifted_level(self, t: Tensor) -> Tensor:
        table, position = self.decay.to(t.device), t * self.intervals
        low = position.floor().long().clamp(max=self.intervals - 1)
        return torch.lerp(table[low], table[low + 1], position - low).expm1().sqrt()

    def unshifted_time(self, level: Tensor) -> Tensor:
        table, decay = self.decay.to(level.device), level.square().log1p()
        high = torch.searchsorted(table, decay).clamp(1, self.intervals)
        return (high - 1 + (decay - table[high - 1]) / (table[high] - table[high - 1])) / self.intervals
