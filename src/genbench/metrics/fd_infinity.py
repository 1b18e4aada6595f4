"""Frechet distance extrapolated to infinitely many samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.base import SAMPLES, Evidence, Metric, Score, Scores
from genbench.metrics.frechet import frechet, influence
from genbench.metrics.moments import BLOCK, Moments
from genbench.metrics.resampling import from_influence

SIZES = 15


class FrechetDistanceInfinity(Metric):
    """`fd_infinity`: the Frechet distance without the bias of finitely many samples (Chong and Forsyth 2020).

    The distances of 15 growing parts of the shuffled samples, fitted as a line in 1/N by least squares, at 1/N = 0.
    The parts grow from 5 D samples, D the dimensions, where that is between a fifth and a half of all samples. The
    bias from the finite reference stays. The error is the infinitesimal jackknife of the intercept.

    Raises:
        DataError: fewer than 2 D samples: the line does not hold below D.
    """

    keys = ("fd_infinity",)
    title = "the Frechet distance's limit"

    def least(self, dims: int) -> Mapping[str, int]:
        return {SAMPLES: max(2 * dims, 2 * SIZES)}

    def __call__(self, evidence: Evidence) -> Scores:
        samples, reference = evidence.samples, evidence.moments
        n, d = samples.features.shape
        self.require_enough(evidence)
        sizes = np.linspace(min(max(n // 5, 5 * d), n // 2), n, SIZES).astype(int)
        found = [frechet(part, reference) for part in _parts(samples.features, sizes)]
        # the intercept of a least-squares line is a weighted sum of its points
        x = 1.0 / sizes
        weights = 1.0 / SIZES - x.mean() * (x - x.mean()) / np.square(x - x.mean()).sum()
        # a sample acts on the parts that hold it, on each by its influence over the part's size
        held = (weights * x)[::-1].cumsum()[::-1]
        joined = np.diff(sizes, prepend=0)
        spread = float(n * (joined * held**2).sum()) ** 0.5
        error = spread * from_influence(influence(samples.features, samples.moments, reference))
        return {"fd_infinity": Score(float(weights @ found), error)}


def _parts(features: Tensor, sizes: np.ndarray) -> Iterator[Moments]:
    """Moments of the first sizes[i] of the shuffled rows; each row is multiplied out once."""
    features = features[torch.randperm(len(features), generator=torch.Generator().manual_seed(0))]
    origin = features.double().mean(0)
    total = torch.zeros_like(origin)
    products = torch.zeros(len(origin), len(origin), dtype=torch.float64)
    start = 0
    for end in sizes.tolist():
        for block in torch.split(features[start:end], BLOCK):
            centred = block.double() - origin
            total += centred.sum(0)
            products.addmm_(centred.T, centred)
        start = end
        mean = total / end
        yield Moments(origin + mean, (products - end * mean.outer(mean)) / (end - 1), end)
