"""Probabilities of discrete pixels under continuous densities."""

import torch
import torch.nn.functional as F
from torch import Tensor


def discretised_logistic(level: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log p(level) in nats, elementwise: a logistic on [-1,1] integrated over each level's bin.

    The first and last bins take the tails, so the probabilities of all levels sum to one (Salimans et al.
    2017, eq. 2, with one component). Finite, with finite gradients, for any finite mean and |log_scale| < 30.
    """
    half = 1.0 / (levels - 1)
    centre = level.to(mean.dtype) * (2.0 * half) - 1.0
    inverse = torch.exp(-log_scale)
    upper = (centre + half - mean) * inverse
    lower = (centre - half - mean) * inverse
    # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)) keeps its digits in both tails;
    # u - l is written out because far from the mean the subtraction would lose it
    inside = torch.log(-torch.expm1(-2.0 * half * inverse))
    above, below = level > 0, level < levels - 1
    log_p = torch.where(below, F.logsigmoid(upper), 0.0) + torch.where(above, F.logsigmoid(-lower), 0.0)
    return log_p + torch.where(above & below, inside, 0.0)
