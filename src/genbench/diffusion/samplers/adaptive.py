"""Steps as long as the error allows."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genbench.core import ConfigError, Noise, RunError
from genbench.diffusion.denoiser import Denoiser, broadcast
from genbench.diffusion.samplers.base import DiffusionSampler
from genbench.diffusion.samplers.grid import lowest_level
from genbench.diffusion.samplers.ode import Slope, Tableau, combined, velocity
from genbench.diffusion.schedules import NoiseSchedule

PAIR = Tableau((0, 1 / 2, 3 / 4), ((), (1 / 2,), (0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9))
ERROR = (-5 / 72, 1 / 12, 1 / 9, -1 / 8)
"""The third-order weights less the second-order ones, the slope at the end included."""
TRIES = 2000


@dataclass(eq=False)
class Adaptive(DiffusionSampler):
    """The pair of orders 3(2) of Bogacki & Shampine 1989 on the probability-flow ODE, then one denoising step.

    Every image has a step of its own, so that it does not depend on its batch; all are evaluated until the last has
    arrived, and the evaluations counted are those.
    """

    order: ClassVar[int | None] = 3
    rtol: float = 1e-2
    atol: float = 1e-3

    def check(self) -> None:
        require_tolerances("sampler", self.rtol, self.atol)

    def fit(self, schedule: NoiseSchedule) -> None:
        """Walks every schedule."""

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        bottom = lowest_level(schedule)
        start, end = (float(schedule.position(level)) for level in (schedule.level(torch.ones_like(bottom)), bottom))
        x = arrive(velocity(denoise, schedule), x, start, end, self.rtol, self.atol)
        return denoise(x, schedule.time_of(bottom))


def require_tolerances(under: str, rtol: float, atol: float) -> None:
    """That tolerances, typed below `under`, are such that a step can meet them.

    Raises:
        ConfigError: they are not.
    """
    if not (0.0 <= rtol < math.inf and 0.0 < atol < math.inf):  # so that nan is refused too
        raise ConfigError(f"{under}.rtol={rtol}, atol={atol}: expected finite numbers, 0 or more and more than 0")


def arrive(slope: Slope, x: Tensor, start: float, end: float, rtol: float, atol: float) -> Tensor:
    """x [B,...] carried from position `start` to `end`, its error per step and image within the tolerances.

    Raises:
        RunError: it does not arrive in 2 000 steps.
    """
    position = torch.full((len(x),), start, dtype=torch.float64, device=x.device)
    h = (end - position) / 100.0
    first = slope(x, position)
    for _ in range(TRIES):
        left = end - position
        h = torch.where(h.abs() < left.abs(), h, left)
        there, last, error = _attempt(slope, x, position, h, first, rtol, atol)
        accepted = error <= 1.0  # an image that has arrived makes steps of length 0
        moved = accepted.reshape(-1, *[1] * (x.ndim - 1))
        x, first = torch.where(moved, there, x), torch.where(moved, last, first)
        position = torch.where(accepted, torch.where(h == left, end, position + h), position)
        if bool((position == end).all()):
            return x
        h = h * (0.9 * error.clamp(min=1e-9) ** (-1 / 3)).clamp(0.2, 5.0)
    raise RunError(f"the ODE was not solved in {TRIES} steps: raise rtol={rtol:g} and atol={atol:g}")


def _attempt(
    slope: Slope, x: Tensor, position: Tensor, h: Tensor, first: Tensor, rtol: float, atol: float
) -> tuple[Tensor, Tensor, Tensor]:
    """x one step ahead, the slope there, and each image's error in units of the tolerance."""
    length, slopes = broadcast(h, x), [first]
    for node, row in zip(PAIR.nodes[1:], PAIR.stages[1:], strict=True):
        slopes.append(slope(x + length * combined(row, slopes), position + node * h))
    there = x + length * combined(PAIR.weights, slopes)
    slopes.append(slope(there, position + h))
    allowed = atol + rtol * torch.maximum(x.abs(), there.abs())
    error = (length * combined(ERROR, slopes) / allowed).flatten(1).square().mean(1).sqrt()
    return there, slopes[-1], error.double()
