"""The variational bound of a diffusion in discrete time."""

import torch
from torch import Tensor

from genbench.diffusion.denoiser import broadcast
from genbench.diffusion.posterior import decoder_bits, interpolated, kl_bits, posterior
from genbench.diffusion.schedules import NoiseSchedule


def bound_bits(
    schedule: NoiseSchedule,
    steps: int,
    t: Tensor,
    x0: Tensor,
    xt: Tensor,
    denoised: Tensor,
    fraction: Tensor,
    levels: int,
) -> Tensor:
    """An estimate [B] of the bound in bits per dimension from one time t each: its term `steps` times, without L_T.

    Nichol & Dhariwal 2021, eqs. 4-7: a divergence between Gaussians, and the discrete decoder at t = 1/T. The decoder's
    lower bound on the variance is the posterior's at t = 2/T, the least that is not zero.
    """
    t = t.double()
    alpha, sigma, alpha_s, sigma_s = (
        a for time in (t, (t - 1.0 / steps).clamp(min=0.0)) for a in schedule.alpha_sigma(time)
    )
    back = posterior(alpha, sigma, alpha_s, sigma_s)
    first, second = (schedule.alpha_sigma(torch.full_like(t, k / steps)) for k in (1, 2))
    variance = torch.maximum(back.variance, posterior(*second, *first).variance)

    log_variance = interpolated(fraction, broadcast(variance, x0), broadcast(back.beta, x0))
    distance = broadcast(back.from_x0, x0) * (x0 - denoised)
    inner = kl_bits(distance, broadcast(variance, x0), log_variance)
    mean = broadcast(back.from_x0, x0) * denoised + broadcast(back.from_xt, x0) * xt
    decoder = decoder_bits(x0, mean, log_variance, levels)
    last = broadcast((t * steps).round(), x0) == 1.0
    return steps * torch.where(last, decoder, inner).flatten(1).mean(1)
