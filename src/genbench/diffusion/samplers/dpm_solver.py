"""DPM-Solver++: multistep integration of the denoised image over half the log SNR, lambda = log(alpha/sigma).

dx is linear in x but for the denoised image, so x_s = sigma_s/sigma_t x_t + sigma_s int e^lambda D(lambda) dlambda is
exact (Lu et al. 2022, eq. 9); the methods differ in how they guess D between two evaluations from earlier ones.
e^-h = alpha_t sigma_s / (alpha_s sigma_t) is finite at both ends, where h is not: there a step needs no guess.
"""

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from genbench.core import Count, Noise
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.samplers.base import FixedSteps
from genbench.diffusion.samplers.grid import Point
from genbench.diffusion.schedules import NoiseSchedule


def decay(now: Point, after: Point) -> float:
    """e^-h, where h is by how much lambda rises."""
    return now.alpha * after.sigma / (after.alpha * now.sigma)


@dataclass(eq=False)
class DPMSolver2M(FixedSteps):
    """The second-order multistep method (Lu et al. 2022, algorithm 2)."""

    order: ClassVar[int | None] = 2
    steps: Count = 20

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        last: Tensor | None = None
        h_last = math.inf
        for now, after in pairwise(self.path(schedule)):
            x0, e = denoise(x, now.t), decay(now, after)
            h = -math.log(e) if e > 0.0 else math.inf

            guess = x0
            if last is not None and h < math.inf and h_last < math.inf:
                guess = x0 + 0.5 * h / h_last * (x0 - last)

            x = self.advance(x, guess, now, after, e, noise)
            last, h_last = x0, h
        return x

    def advance(self, x: Tensor, guess: Tensor, now: Point, after: Point, e: float, noise: Noise) -> Tensor:
        """x at the next point, had D been the guess all the way."""
        return after.sigma / now.sigma * x + after.alpha * (1.0 - e) * guess


@dataclass(eq=False)
class DPMSolver2MSDE(DPMSolver2M):
    """The same for the reverse-time SDE (Lu et al. 2022, SDE-DPM-Solver++(2M)); its order is that of the moments."""

    def advance(self, x: Tensor, guess: Tensor, now: Point, after: Point, e: float, noise: Noise) -> Tensor:
        x = after.sigma / now.sigma * e * x + after.alpha * (1.0 - e**2) * guess
        if after.sigma > 0.0:
            x = x + after.sigma * math.sqrt(1.0 - e**2) * noise.normal(*x.shape[1:])
        return x


@dataclass(eq=False)
class DPMSolver3M(FixedSteps):
    """The third-order multistep method: the parabola through three evaluations, integrated exactly.

    Lu et al. 2022, section 4.2, and Zhang & Chen 2023, eq. 15 (there for the noise); the first two steps are of the
    orders that their evaluations allow.
    """

    order: ClassVar[int | None] = 3
    steps: Count = 20

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        past: deque[tuple[float, Tensor]] = deque(maxlen=3)  # (how far back in lambda, denoised image), latest last
        for now, after in pairwise(self.path(schedule)):
            e = decay(now, after)
            past.append((0.0, denoise(x, now.t)))
            if e > 0.0:
                h = -math.log(e)
                change = _integral(h, past)
                past = deque([(back + h, x0) for back, x0 in past], maxlen=3)
            else:
                change = past[-1][1] * (1.0 - e)
                past.clear()
            x = after.sigma / now.sigma * x + after.alpha * change
        return x


def _integral(h: float, past: deque[tuple[float, Tensor]]) -> Tensor:
    """int_0^h e^(u-h) D(u) du for the polynomial through the past evaluations, in Newton's form."""
    i0 = -math.expm1(-h)
    i1 = h - i0
    i2 = h * h - 2.0 * i1
    (_, d0), *earlier = reversed(past)
    result = i0 * d0
    if earlier:
        back1, d1 = earlier[0]
        slope = (d0 - d1) / back1
        result = result + i1 * slope
    if len(earlier) == 2:
        back2, d2 = earlier[1]
        bend = (slope - (d1 - d2) / (back2 - back1)) / back2
        result = result + (i2 + back1 * i1) * bend
    return result
