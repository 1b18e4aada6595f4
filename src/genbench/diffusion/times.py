"""Densities of training times.

Each is given by its quantile function, so that any of them can be drawn at random or evenly over the batch.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genbench.core import ConfigError, Noise
from genbench.diffusion.schedules import NoiseSchedule


class TimeDensity(ABC):
    """Times at which images are shown to the network.

    `stratified` spreads the times of a batch evenly over the density, from one random start, which lowers the
    variance of the loss; each image's own time keeps its density (Kingma et al. 2021, appendix I.1).
    """

    def __init__(self, stratified: bool) -> None:
        self.stratified = stratified

    def __call__(self, noise: Noise, schedule: NoiseSchedule) -> Tensor:
        """One time per image, [B], on the schedule's own grid where it has one."""
        uniform = noise.strata() if self.stratified else noise.uniform()
        return schedule.snap(self.quantile(uniform, schedule))

    @abstractmethod
    def quantile(self, u: Tensor, schedule: NoiseSchedule) -> Tensor:
        """The time below which a share `u` in [0,1) of the times lies, increasing in `u`."""


class Uniform(TimeDensity):
    """All times alike (Ho et al. 2020, algorithm 1)."""

    def __init__(self, stratified: bool = False) -> None:
        super().__init__(stratified)

    def quantile(self, u: Tensor, schedule: NoiseSchedule) -> Tensor:
        return u


class LogNormal(TimeDensity):
    """log(sigma/alpha) ~ N(mean, std^2) (Karras et al. 2022, table 1); the ends gather what lies beyond them."""

    def __init__(self, mean: float = -1.2, std: float = 1.2, stratified: bool = False) -> None:
        super().__init__(stratified)
        self.mean, self.std = mean, _positive(std)

    def quantile(self, u: Tensor, schedule: NoiseSchedule) -> Tensor:
        return schedule.time_of((self.mean + self.std * torch.special.ndtri(u.double())).exp()).to(u.dtype)


class LogitNormal(TimeDensity):
    """log(t / (1 - t)) ~ N(mean, std^2) (Esser et al. 2024, eq. 19)."""

    def __init__(self, mean: float = 0.0, std: float = 1.0, stratified: bool = False) -> None:
        super().__init__(stratified)
        self.mean, self.std = mean, _positive(std)

    def quantile(self, u: Tensor, schedule: NoiseSchedule) -> Tensor:
        logit: Tensor = self.mean + self.std * torch.special.ndtri(u.double())
        return logit.sigmoid().to(u.dtype)


def _positive(std: float) -> float:
    if std <= 0.0:
        raise ConfigError(f"times.std is {std}; expected a positive deviation")
    return std
