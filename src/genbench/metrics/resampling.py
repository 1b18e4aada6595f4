"""Standard errors of scores: what drawing other samples of the same number would change."""

from __future__ import annotations

import math

import torch
from torch import Tensor

DRAWS = 200
"""Bootstrap draws: the error of a standard error from 200 of them is 5 %."""


def from_influence(influence: Tensor) -> float:
    """The infinitesimal jackknife, the bootstrap's limit, of a score whose sample i has influence [N].

    The influence is the derivative of the score to the sample's weight, times N.
    """
    return float(influence.double().std(correction=0)) / math.sqrt(len(influence))


def of_rate(rate: float, n: int) -> float:
    """The binomial error of a fraction of n independent samples: what resampling hits and misses converges to.

    All or none of them say nothing of their spread: then two hits and two misses are added (Agresti and Coull 1998).
    """
    if rate in (0.0, 1.0):
        rate, n = (rate * n + 2.0) / (n + 4.0), n + 4
    return math.sqrt(rate * (1.0 - rate) / n)


def from_losses(loss: Tensor) -> float:
    """The jackknife of a score that falls by loss [N] when one sample is left out.

    Biased upwards (Efron and Stein 1981): intervals of scores that single samples decide, as those of coverage, are
    rather too wide, where the bootstrap, which leaves a third of the samples out of each draw, makes them too narrow.
    """
    n = len(loss)
    return math.sqrt(float((loss.double() - loss.double().mean()).square().sum()) * (n - 1) / n)


def bootstrap_weights(n: int, size: int) -> Tensor:
    """Float64 [DRAWS,n]: the fraction that each of n rows has of `size` drawn with replacement, seeded."""
    drawn = torch.randint(n, (DRAWS, size), generator=torch.Generator().manual_seed(0))
    one = torch.ones(1, dtype=torch.float64).expand(DRAWS, size)
    return torch.zeros(DRAWS, n, dtype=torch.float64).scatter_add_(1, drawn, one) / size
