"""Kernel distance."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from genbench.metrics.base import REFERENCE, SAMPLES, Evidence, Metric, Score, Scores

ROWS = 3000
"""Rows of samples and of reference that the error is estimated from."""


class KernelDistance(Metric):
    """`kid`: unbiased squared MMD with the kernel (x.y / D + 1)^3, the mean over subsets (Binkowski et al. 2018).

    Around 0 for equal distributions, so below it half of the time. `subsets` seeded draws of `subset_size` rows from
    the samples and the reference. Numerics are torch-fidelity's. None without reference images.

    Raises:
        DataError: fewer samples or reference images than a subset has.
    """

    keys = ("kid",)
    title = "the kernel distance"

    def __init__(self, subsets: int = 100, subset_size: int = 1000) -> None:
        self.subsets = subsets
        self.subset_size = subset_size

    @property
    def agreed(self) -> Mapping[str, int | bool]:
        return {"kid_subsets": self.subsets, "kid_subset_size": self.subset_size}

    def least(self, dims: int) -> Mapping[str, int]:
        return dict.fromkeys((SAMPLES, REFERENCE), self.subset_size)

    def instead(self, n: int) -> str:
        return f"protocol.kid_subset_size={n} or less"

    def __call__(self, evidence: Evidence) -> Scores:
        if evidence.reference is None:
            return {"kid": Score(None)}
        self.require_enough(evidence)
        x, y = evidence.samples.features, evidence.reference.features
        value = kid_features_to_metric(x, y, kid_subsets=self.subsets, kid_subset_size=self.subset_size, verbose=False)[
            KEY_METRIC_KID_MEAN
        ]
        return {"kid": Score(value, self._error(x, y))}

    def _error(self, x: Tensor, y: Tensor) -> float:
        """Root of the variance by Hoeffding's decomposition of the U-statistic, over subsets that share samples.

        With S subsets of m out of n: 4 v1 (1/n + (1 - m/n) / (S m)) for what a sample adds alone, v1 the variance of
        its mean kernel to the samples less that to the reference; 2 v2 over the number of pairs, and 4 v12 / (S m^2)
        for pairs within the samples and across to the subset of the reference (Serfling 1980, section 5.2).
        """
        n, m, s = len(x), self.subset_size, self.subsets
        x, y = _spread(x), _spread(y)
        rows, cols = len(x), len(y)
        inner, cross = _kernel(x, x), _kernel(x, y)
        inner.fill_diagonal_(0.0)
        to_samples, to_reference = inner.sum(1) / (rows - 1), cross.mean(1)
        mean = to_samples.mean()
        v2 = inner.square().sum() / (rows * (rows - 1)) - mean.square() - 2.0 * to_samples.var(correction=0)
        v12 = cross.var(correction=0) - to_reference.var(correction=0) - cross.mean(0).var(correction=0)
        v2, v12 = v2.clamp_min(0.0), v12.clamp_min(0.0)
        # means over finitely many others carry their noise
        v1 = ((to_samples - to_reference).var() - v2 / (rows - 1) - v12 / cols).clamp_min(0.0)
        alone = 4.0 * v1 * (1.0 / n + (1.0 - m / n) / (s * m))
        pairs = 2.0 * v2 * (1.0 / (s * m * (m - 1)) + (1.0 - 1.0 / s) / (n * (n - 1)))
        return math.sqrt(float(alone + pairs + 4.0 * v12 / (s * m * m)))


def _spread(features: Tensor) -> Tensor:
    """At most ROWS rows, evenly spread over all, since their order may mean something."""
    if len(features) <= ROWS:
        return features
    return features[torch.linspace(0, len(features) - 1, ROWS).long()]


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """The cubic kernel [N,M] in float64, the products in the features' own precision."""
    return (a @ b.T / a.shape[1] + 1.0).double().pow_(3)
