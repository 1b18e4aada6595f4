"""The Gaussian step back from one time to a less noisy one: q(x_s | x_t, x_0) and its bound."""

import math
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

N = TypeVar("N", float, Tensor)


class Posterior(NamedTuple, Generic[N]):
    """q(x_s | x_t, x_0) = N(from_x0 x_0 + from_xt x_t, variance); `beta` is the variance of the step forward."""

    from_x0: N
    from_xt: N
    variance: N
    beta: N


def posterior(alpha_t: N, sigma_t: N, alpha_s: N, sigma_s: N) -> Posterior[N]:
    """Ho et al. 2020, eqs. 6-7, for any alpha and sigma (Kingma et al. 2021, appendix A.2)."""
    ratio = alpha_t / alpha_s
    beta = sigma_t**2 - (ratio * sigma_s) ** 2
    share = (sigma_s / sigma_t) ** 2
    return Posterior(alpha_s * beta / sigma_t**2, ratio * share, share * beta, beta)


def interpolated(fraction: Tensor, variance: Tensor | float, beta: Tensor | float) -> Tensor:
    """Log variance between the posterior's (-1) and beta (+1) (Nichol & Dhariwal 2021, eq. 15)."""
    upper, lower = (torch.as_tensor(v, dtype=torch.float64).log().to(fraction) for v in (beta, variance))
    share = (fraction + 1.0) / 2.0
    return share * upper + (1.0 - share) * lower


def kl_bits(distance: Tensor, variance: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(., variance) || N(., exp(log_variance))) in bits, whose means are `distance` apart."""
    nats = log_variance - variance.log() + (variance + distance.square()) * (-log_variance).exp() - 1.0
    return nats / (2.0 * math.log(2.0))


def decoder_bits(x0: Tensor, mean: Tensor, log_variance: Tensor, levels: int) -> Tensor:
    """-log2 of a Gaussian's mass on the grey level of x0, the outermost levels reaching to infinity (eq. 13)."""
    inverse_std, half = (-0.5 * log_variance).exp(), 1.0 / (levels - 1)
    upper = torch.where(x0 > 1.0 - half, torch.inf, (x0 - mean + half) * inverse_std)
    lower = torch.where(x0 < -1.0 + half, -torch.inf, (x0 - mean - half) * inverse_std)
    # mirrored where both are large, because the normal's upper tail has no digits left
    mirrored = lower > 0.0
    upper, lower = torch.where(mirrored, -lower, upper), torch.where(mirrored, -upper, lower)
    mass = torch.special.ndtr(upper) - torch.special.ndtr(lower)
    bits: Tensor = -mass.clamp(min=1e-12).log() / math.log(2.0)
    return bits
