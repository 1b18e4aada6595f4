"""The variational bound in discrete time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from genbench.core import ConfigError, Noise
from genbench.diffusion.clipping import Clip
from genbench.diffusion.denoiser import Denoiser, HasVariance, broadcast
from genbench.diffusion.likelihoods.base import DiffusionLikelihood
from genbench.diffusion.posterior import kl_bits
from genbench.diffusion.schedules import NoiseSchedule
from genbench.diffusion.variational import bound_bits

CONTINUOUS = 1000
"""T where the schedule has none of its own."""


@dataclass(eq=False)
class VariationalBound(DiffusionLikelihood):
    """L_T + sum L_{t-1} + L_0 at the times i/T (Ho et al. 2020, eqs. 5 and 13; Nichol & Dhariwal 2021, eqs. 4-7).

    `steps` is T, the schedule's own by default. `draws` of the T - 1 divergences stand for their sum, without bias:
    stratified, and in proportion to what they would be for standard normal data, (SNR_s - SNR_t) / (1 + SNR_t)
    (Kingma et al. 2021, eq. 11 with the variance of x_0 given x_t); null evaluates all. A model without a learned
    variance has the posterior's, for which a divergence is (SNR_s - SNR_t) / 2 times the squared error of the image.
    """

    kind: ClassVar[str] = "vlb"
    clip: ClassVar[Clip] = "static"
    steps: int | None = None
    draws: int | None = 32

    def __post_init__(self) -> None:
        for name, value, least in (("steps", self.steps, 2), ("draws", self.draws, 1)):
            if value is not None and value < least:
                raise ConfigError(f"likelihood.{name} is {value}; expected at least {least}, or null")

    def fit(self, schedule: NoiseSchedule) -> None:
        steps = self._steps(schedule)
        if steps < 2:
            raise ConfigError(f"likelihood=vlb needs two steps, the schedule has {steps}: use likelihood=none")
        if schedule.steps is not None and schedule.steps % steps:
            raise ConfigError(
                f"likelihood.steps={steps} would ask the model about times it was not trained at: expected a divisor "
                f"of scheduler.steps={schedule.steps}, or null for all of them"
            )

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x0: Tensor, levels: int, noise: Noise) -> Tensor:
        steps = self._steps(schedule)

        def term(i: Tensor) -> Tensor:
            t = i.to(x0.device) / steps
            alpha, sigma = (broadcast(a, x0) for a in schedule.alpha_sigma(t))
            xt = alpha * x0 + sigma * noise.normal(*x0.shape[1:]).to(x0.dtype)
            if isinstance(denoise, HasVariance):
                denoised, fraction = denoise.with_variance(xt, t)
            else:
                denoised, fraction = denoise(xt, t), torch.full_like(x0, -1.0)
            exact, noisy, denoised, fraction = (a.double() for a in (x0, xt, denoised, fraction))
            return bound_bits(schedule, steps, t, exact, noisy, denoised, fraction, levels) / steps

        bits = _prior_bits(schedule, x0) + term(torch.ones(len(x0), dtype=torch.float64))
        for i, weight in self._times(schedule, steps, noise):
            bits = bits + weight.to(x0.device) * term(i)
        return bits

    def _times(self, schedule: NoiseSchedule, steps: int, noise: Noise) -> Iterator[tuple[Tensor, Tensor]]:
        """Times 2..T, one for each image [B] at once, and how often each counts."""
        every = torch.arange(1, steps + 1, dtype=torch.float64)
        if self.draws is None:
            for i in every[1:]:
                yield i.expand(len(noise)), torch.ones(len(noise), dtype=torch.float64)
            return
        snr = schedule.level(every / steps).square().reciprocal()
        chance = (snr[:-1] - snr[1:]) / (1.0 + snr[1:])
        chance = chance / chance.sum()
        for stratum in range(self.draws):
            place = (stratum + noise.uniform().double().cpu()) / self.draws
            drawn = torch.searchsorted(chance.cumsum(0), place, right=True).clamp(max=steps - 2)
            yield every[1:][drawn], 1.0 / (self.draws * chance[drawn])

    def _steps(self, schedule: NoiseSchedule) -> int:
        return self.steps or schedule.steps or CONTINUOUS


def _prior_bits(schedule: NoiseSchedule, x0: Tensor) -> Tensor:
    """KL(q(x_1 | x_0) || the prior) in bits per dimension [B]."""
    alpha, sigma = schedule.alpha_sigma(torch.ones((), dtype=torch.float64, device=x0.device))
    log_prior = torch.full_like(sigma, schedule.prior_std).square().log()
    return kl_bits(alpha * x0.double(), sigma.square(), log_prior).flatten(1).mean(1)
