"""Probabilities of discrete pixels under continuous densities."""

import torch
import torch.nn.functional as F
from torch import Tensor


def discretised_logistic(level: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log p(level) in nats, elementwise: a logistic on [-1,1] integrated over each level's bin.

    The first and last bins take the tails, so the probabilities of all levels sum to one
    (Salimans et al. 2017, eq. 2, with one component).
    """
    half = 1.0 / (levels - 1)
    centre = level.float() * (2.0 * half) - 1.0
    inverse = torch.exp(-log_scale)
    upper = (centre + half - mean) * inverse
    lower = (centre - half - mean) * inverse
    # log(sigmoid(u) - sigmoid(l)) = logsigmoid(u) + logsigmoid(-l) + log(1 - exp(l - u)), stable in both tails
    inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
    return torch.where(
        level == 0, F.logsigmoid(upper), torch.where(level == levels - 1, F.logsigmoid(-lower), inner)
    )
