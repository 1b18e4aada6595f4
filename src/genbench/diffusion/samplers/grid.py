"""Time grids: at which noise levels a sampler evaluates the network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genbench.core import ConfigError
from genbench.diffusion.schedules import NoiseSchedule
from genbench.diffusion.schedules.base import VarianceExploding

Grid = Literal["uniform", "karras", "log_snr"]

LOWEST, HIGHEST = 0.002, 80.0
"""Noise levels between which images are made; beyond them is nothing to see (Karras et al. 2022, table 1).

A shift moves them, and a variance-exploding schedule brings its own."""


@dataclass(frozen=True)
class Point:
    """A time, float64 on the CPU, and the schedule there."""

    t: Tensor
    alpha: float
    sigma: float

    @property
    def level(self) -> Tensor:
        """sigma/alpha; inf without signal."""
        return torch.tensor(self.sigma, dtype=torch.float64) / self.alpha


def uniform(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Evenly spaced in t, and on the training grid where there is one (the spacing called trailing)."""
    if schedule.steps is not None:
        times = torch.linspace(schedule.steps, 0, steps + 1, dtype=torch.float64).round() / schedule.steps
        return times[:-1]
    if schedule.level(torch.zeros((), dtype=torch.float64)) > 0.0:
        return torch.linspace(1, 0, steps, dtype=torch.float64)
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1]


def karras(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Evenly spaced in the seventh root of the noise level (Karras et al. 2022, eq. 5)."""
    return _between(schedule, steps, lambda level: level ** (1 / 7), lambda root: root**7)


def log_snr(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Evenly spaced in the logarithm of the noise level (Lu et al. 2022)."""
    return _between(schedule, steps, torch.log, torch.exp)


GRIDS: dict[Grid, Callable[[NoiseSchedule, int], Tensor]] = {"uniform": uniform, "karras": karras, "log_snr": log_snr}


def path(schedule: NoiseSchedule, steps: int, grid: Grid) -> list[Point]:
    """The points of `steps` evaluations, from t = 1 on, and the clean image's after them.

    Raises:
        ConfigError: more steps than the schedule has.
    """
    if schedule.steps is not None and steps > schedule.steps:
        raise ConfigError(f"sampler.steps is {steps}; expected 1 to scheduler.steps={schedule.steps}")
    times = GRIDS[grid](schedule, steps)
    alpha, sigma = schedule.alpha_sigma(times)
    points = [Point(*point) for point in zip(times, alpha.tolist(), sigma.tolist(), strict=True)]
    return [*points, Point(torch.zeros((), dtype=torch.float64), 1.0, 0.0)]


def lowest_level(schedule: NoiseSchedule) -> Tensor:
    """The noise level below which nothing is evaluated, float64."""
    level = schedule.level(schedule.first_time())
    return level if isinstance(schedule, VarianceExploding) else level.clamp(min=LOWEST * schedule.shift)


def _between(
    schedule: NoiseSchedule, steps: int, warp: Callable[[Tensor], Tensor], unwarp: Callable[[Tensor], Tensor]
) -> Tensor:
    """Times whose levels are even under a warp; the first is t = 1, however noisy that is."""
    top = schedule.level(torch.ones((), dtype=torch.float64))
    if not isinstance(schedule, VarianceExploding):
        top = top.clamp(max=HIGHEST * schedule.shift)
    share = torch.linspace(0, 1, steps, dtype=torch.float64)
    times = schedule.time_of(unwarp(torch.lerp(warp(top), warp(lowest_level(schedule)), share)))
    times[0] = 1.0
    return times
