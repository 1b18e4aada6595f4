"""A mixture of isotropic Gaussians at given centres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LEARNING_RATE, EPOCHS, BATCH = 0.5, 50, 10_000
NEAREST_FLOOR, LEAST_LOG, MOST_LOG = 1e-3, -40.0, 20.0
"""Added to squared distances at the start; bounds of log variances, so that copies have finite likelihoods."""
BACKGROUND_SHRINK = 0.9**2
"""Of the squared distances to the background's centre."""
BLOCK, CACHED = 1024, 64
"""Data at a time: for distances, and for passes over distances that should stay in the processor's cache."""


@dataclass(frozen=True)
class GaussianMixture:
    """Gaussians of equal weight with centres [M,D] and log variances [M], the same in all directions."""

    centres: Tensor
    log_variance: Tensor

    @classmethod
    def fitted(cls, centres: Tensor, data: Tensor) -> GaussianMixture:
        """The variances that make the data [N,D] likely: Adam on the mean log-likelihood, as the authors of FLD do.

        Each starts at the likeliest for the nearest datum alone. While fitting, one more Gaussian at the data's mean
        gives points far from all centres some likelihood. Holds N x M squared distances in float32.
        """
        squared = _squared_distances(data, centres)
        background = BACKGROUND_SHRINK * (data - data.mean(0)).square().sum(1)
        dims = data.shape[1]
        log_variance = ((squared.amin(0) + NEAREST_FLOOR) / dims).log()
        spread = torch.zeros(())
        adam = torch.optim.Adam([log_variance, spread], lr=LEARNING_RATE)
        for _ in range(EPOCHS):
            for start in range(0, len(data), BATCH):
                part = slice(start, start + BATCH)
                log_variance.grad, spread.grad = _slopes(squared[part], background[part], log_variance, spread, dims)
                adam.step()
                log_variance.clamp_(LEAST_LOG, MOST_LOG)
        return cls(centres, log_variance)

    def nll(self, data: Tensor) -> float:
        """Mean negative log-likelihood of data [N,D] per dimension, in nats."""
        total = 0.0
        for block in torch.split(data, BLOCK):
            logs = _log_densities(torch.cdist(block, self.centres).square_(), self.log_variance, data.shape[1])
            total -= float(logs.logsumexp(1).double().sum())
        return (total / len(data) + math.log(len(self.centres))) / data.shape[1] + 0.5 * math.log(2.0 * math.pi)


def _squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    result = torch.empty(len(rows), len(others))
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        result[part] = torch.cdist(rows[part], others).square_()
    return result


def _log_densities(squared: Tensor, log_variance: Tensor, dims: int) -> Tensor:
    """Log densities [N,M] but for (2 pi)^(-D/2)."""
    return (squared * (-0.5 * (-log_variance).exp())).sub_(0.5 * dims * log_variance)


def _slopes(
    squared: Tensor, background: Tensor, log_variance: Tensor, spread: Tensor, dims: int
) -> tuple[Tensor, Tensor]:
    """Derivatives of the mean negative log-likelihood per dimension to the log variances.

    That of a Gaussian's log density is d^2 / (2 variance) - D/2, weighted by its share in each datum.
    """
    slope, slope_spread = torch.zeros_like(log_variance), torch.zeros(())
    precision = (-log_variance).exp()
    for part, far in zip(torch.split(squared, CACHED), torch.split(background, CACHED), strict=True):
        logs = _log_densities(part, log_variance, dims).sub_(math.log(len(log_variance)))
        log_far = -0.5 * far * (-spread).exp() - 0.5 * dims * spread
        peak = torch.maximum(logs.amax(1), log_far)
        # the exponential of numbers that underflow is ten times slower, and 1e-35 is as good as nothing
        likelihood, likelihood_far = logs.sub_(peak[:, None]).clamp_min_(-80.0).exp_(), (log_far - peak).exp()
        evidence = 1.0 / (likelihood.sum(1) + likelihood_far)
        slope += 0.5 * dims * (evidence @ likelihood)
        slope -= 0.5 * precision * (evidence @ likelihood.mul_(part))
        slope_spread += (evidence * likelihood_far * (0.5 * dims - 0.5 * far * (-spread).exp())).sum()
    scale = 1.0 / (len(squared) * dims)
    return slope * scale, slope_spread * scale
