"""The predictions of the field: noise, image, v, velocity, and EDM's preconditioned one."""

import torch
from torch import Tensor

from genbench.core import ConfigError
from genbench.diffusion.objectives.base import Objective


class Epsilon(Objective):
    """The noise (Ho et al. 2020, eq. 14); it says nothing of the image where alpha = 0."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return eps

    def skip_gain(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return 1.0 / alpha, -sigma / alpha


class X0(Objective):
    """The image itself (Ho et al. 2020, section 3.2; Ramesh et al. 2022)."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return x0

    def skip_gain(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(alpha), torch.ones_like(alpha)


class V(Objective):
    """v = alpha eps - sigma x0 (Salimans & Ho 2022, section 4), over sqrt(alpha^2 + sigma^2), which is 1 there."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha * eps - sigma * x0) / torch.hypot(alpha, sigma)

    def skip_gain(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return alpha / (alpha.square() + sigma.square()), -sigma / torch.hypot(alpha, sigma)


class Velocity(Objective):
    """eps - x0, the velocity of rectified flow (Liu et al. 2023, eq. 1; Lipman et al. 2023, eq. 23).

    Any other schedule's velocity alpha' x0 + sigma' eps is this times a number plus a multiple of x_t, so nothing
    is lost by using it everywhere, and no derivative can become infinite.
    """

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return eps - x0

    def skip_gain(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return 1.0 / (alpha + sigma), -sigma / (alpha + sigma)


class EDM(Objective):
    """The mixture of image and noise that keeps input, target and error at unit scale (Karras et al. 2022, table 1).

    Written for x_t / alpha, so that it holds for every schedule; `sigma_data` is the deviation of the pixels.
    With uniform weights its loss is the paper's (eq. 8 with lambda = 1 / c_out^2).
    """

    def __init__(self, sigma_data: float = 0.5) -> None:
        if sigma_data <= 0.0:
            raise ConfigError(f"objective.sigma_data is {sigma_data}; expected a positive deviation of the pixels")
        self.sigma_data = sigma_data

    def _norm(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return torch.hypot(self.sigma_data * alpha, sigma)

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        # (x0 - skip x_t) / gain with the common factor sigma divided out
        return (sigma / self.sigma_data * x0 - self.sigma_data * alpha * eps) / self._norm(alpha, sigma)

    def skip_gain(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        norm = self._norm(alpha, sigma)
        return self.sigma_data**2 * alpha / norm.square(), self.sigma_data * sigma / norm

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return 1.0 / self._norm(alpha, sigma)
