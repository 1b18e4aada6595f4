"""The probability-flow ODE, and explicit Runge-Kutta steps along it.

It is solved in the schedule's own coordinate, in which alpha and sigma have bounded derivatives: sigma on EDM's
schedule, t on rectified flow, an angle where the variance is preserved.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from genbench.diffusion.denoiser import Denoiser, broadcast
from genbench.diffusion.schedules import NoiseSchedule

Slope = Callable[[Tensor, Tensor], Tensor]
"""(x [B,C,H,W], position, one or [B]) -> dx/dposition."""


def velocity(denoise: Denoiser, schedule: NoiseSchedule) -> Slope:
    """dx = alpha' x0 + sigma' eps with both from the denoised image; not defined without noise."""

    def slope(x: Tensor, position: Tensor) -> Tensor:
        level = schedule.level_at(position)
        alpha, sigma = schedule.scales(level)
        x0 = denoise(x, schedule.time_of(level))
        by_x0, by_eps = schedule.tangent(alpha, sigma)
        # alpha' x0 + sigma' (x - alpha x0) / sigma
        return broadcast(by_x0 - by_eps * alpha / sigma, x) * x0 + broadcast(by_eps / sigma, x) * x

    return slope


@dataclass(frozen=True)
class Tableau:
    """A Butcher tableau: nodes c, stages a, weights b."""

    nodes: Sequence[float]
    stages: Sequence[Sequence[float]]
    weights: Sequence[float]


HEUN2 = Tableau((0, 1), ((), (1,)), (1 / 2, 1 / 2))
MIDPOINT = Tableau((0, 1 / 2), ((), (1 / 2,)), (0, 1))
HEUN3 = Tableau((0, 1 / 3, 2 / 3), ((), (1 / 3,), (0, 2 / 3)), (1 / 4, 0, 3 / 4))
KUTTA4 = Tableau((0, 1 / 2, 1 / 2, 1), ((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))


def step(slope: Slope, x: Tensor, position: Tensor, h: Tensor, tableau: Tableau) -> Tensor:
    """x after one step of length `h`."""
    slopes: list[Tensor] = []
    for node, row in zip(tableau.nodes, tableau.stages, strict=True):
        slopes.append(slope(x + h * combined(row, slopes), position + node * h))
    return x + h * combined(tableau.weights, slopes)


def combined(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor | float:
    """The weighted sum of slopes."""
    return sum(w * k for w, k in zip(weights, slopes, strict=False) if w)
