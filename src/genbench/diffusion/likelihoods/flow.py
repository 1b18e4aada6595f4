"""The density under the probability-flow ODE."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genbench.core import ConfigError, Noise
from genbench.diffusion.clipping import Clip
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.likelihoods.base import DiffusionLikelihood
from genbench.diffusion.samplers.adaptive import arrive, require_tolerances
from genbench.diffusion.samplers.grid import lowest_level
from genbench.diffusion.samplers.ode import Slope, velocity
from genbench.diffusion.schedules import NoiseSchedule


@dataclass(eq=False)
class ProbabilityFlow(DiffusionLikelihood):
    """-log2 of the density that the ODE gives dequantised images (Song et al. 2021, appendix D.2).

    The model is what the ODE makes of the prior N(0, prior_std^2), as its samplers do, so nothing is lost at t = 1. It
    ends at the least noisy level that is sampled, sigma/alpha = 0.002 or the schedule's first: the density is that of
    images which still carry this noise. The divergence is estimated with `probes` Rademacher vectors an image
    (Hutchinson 1990), or summed exactly where null, at one derivative a dimension.
    """

    kind: ClassVar[str] = "ode-dequantised"
    clip: ClassVar[Clip] = "none"  # a density needs a field that is smooth
    probes: int | None = 1
    rtol: float = 1e-4
    atol: float = 1e-4

    def __post_init__(self) -> None:
        if self.probes is not None and self.probes < 1:
            raise ConfigError(f"likelihood.probes is {self.probes}; expected at least 1, or null for the exact trace")
        require_tolerances("likelihood", self.rtol, self.atol)

    def fit(self, schedule: NoiseSchedule) -> None:
        """Defined on every schedule."""

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x0: Tensor, levels: int, noise: Noise) -> Tensor:
        y = dequantised(x0, levels, noise)
        probes = None if self.probes is None else _signs(noise, self.probes, y)
        nats = -self.log_density(denoise, schedule, y, probes) / y[0].numel()
        return nats / math.log(2.0) + math.log2((levels - 1) / 2)

    def log_density(self, denoise: Denoiser, schedule: NoiseSchedule, y: Tensor, probes: Tensor | None) -> Tensor:
        """log p(y) in nats float64 [B], for probes [P,B,C,H,W] or the exact trace."""
        bottom = lowest_level(schedule)
        noisiest = schedule.level(torch.ones_like(bottom))
        alpha, _ = schedule.scales(bottom)
        slope, dims = _with_divergence(velocity(denoise, schedule), y.shape, probes), y[0].numel()

        # the density of x / alpha is alpha^D times that of x, and grows along the flow by its divergence
        start = torch.cat([alpha * y.flatten(1), torch.zeros_like(y[:, :1, 0, 0])], dim=1)
        here, there = (float(schedule.position(level)) for level in (bottom, noisiest))
        end = arrive(slope, start, here, there, self.rtol, self.atol).double()
        prior = -0.5 * (end[:, :-1] / schedule.prior_std).square() - math.log(
            schedule.prior_std * math.sqrt(2 * math.pi)
        )
        return prior.sum(1) + dims * (end[:, -1] + math.log(alpha))


def dequantised(x0: Tensor, levels: int, noise: Noise) -> Tensor:
    """Images uniform within 1/(levels - 1) of their grey levels (Theis et al. 2016, section 3.1).

    The bins lie around the levels as models were shown them, so that the extreme ones reach beyond [-1,1].
    """
    return x0 + (2.0 * noise.uniform(*x0.shape[1:]).to(x0) - 1.0) / (levels - 1)


def divergence(value: Tensor, x: Tensor, probes: Tensor | None) -> Tensor:
    """The divergence [B] by x of a field `value`, both [B,...], exactly or as the probes' mean."""

    def along(direction: Tensor) -> Tensor:
        (product,) = torch.autograd.grad(value, x, direction, retain_graph=True)
        return (product * direction).flatten(1).sum(1)

    if probes is None:
        axes = torch.eye(x[0].numel(), dtype=x.dtype, device=x.device).reshape(-1, 1, *x.shape[1:])
        return torch.stack([along(axis.expand_as(x)) for axis in axes]).sum(0)
    return torch.stack([along(probe) for probe in probes]).mean(0)


def _with_divergence(slope: Slope, shape: torch.Size, probes: Tensor | None) -> Slope:
    """The field of images flattened [B,D], and beside them its divergence per dimension [B,1]."""

    def both(state: Tensor, position: Tensor) -> Tensor:
        with torch.enable_grad():
            x = state[:, :-1].detach().reshape(shape).requires_grad_()
            value = slope(x, position)
            spread = divergence(value, x, probes) / x[0].numel()
        return torch.cat([value.detach().flatten(1), spread[:, None]], dim=1)

    return both


def _signs(noise: Noise, probes: int, like: Tensor) -> Tensor:
    """Rademacher vectors [P, *like.shape]."""
    drawn = noise.uniform(probes, *like.shape[1:]).transpose(0, 1)
    return torch.where(drawn < 0.5, -1.0, 1.0).to(like)
