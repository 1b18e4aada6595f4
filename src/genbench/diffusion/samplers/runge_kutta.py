"""Classical Runge-Kutta methods."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from genbench.core import Count, Noise
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.samplers.base import FixedSteps
from genbench.diffusion.samplers.ode import HEUN3, KUTTA4, MIDPOINT, Tableau, step, velocity
from genbench.diffusion.schedules import NoiseSchedule


@dataclass(eq=False)
class RungeKutta(FixedSteps):
    """Steps by one tableau, and the last by another that does not look at the clean image, where no slope is known."""

    tableau: ClassVar[Tableau]
    last: ClassVar[Tableau]

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        slope = velocity(denoise, schedule)
        for now, after in pairwise(self.path(schedule)):
            if now.t == 0.0:
                return denoise(x, now.t)  # no smaller noise was trained
            here, there = schedule.position(now.level), schedule.position(after.level)
            x = step(slope, x, here, there - here, self.tableau if after.sigma > 0.0 else self.last)
        return x


@dataclass(eq=False)
class Midpoint(RungeKutta):
    """The midpoint method: two evaluations a step."""

    order: ClassVar[int | None] = 2
    tableau: ClassVar[Tableau] = MIDPOINT
    last: ClassVar[Tableau] = MIDPOINT
    steps: Count = 20


@dataclass(eq=False)
class RK4(RungeKutta):
    """Kutta's classical method: four evaluations a step, three in the last."""

    order: ClassVar[int | None] = 4
    tableau: ClassVar[Tableau] = KUTTA4
    last: ClassVar[Tableau] = HEUN3
    steps: Count = 10
