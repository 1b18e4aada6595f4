"""Feature likelihood divergence and its generalisation gap."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from genbench.metrics.base import SAMPLES, TRAIN, Evidence, Metric, Score, Scores
from genbench.metrics.mixture import GaussianMixture
from genbench.metrics.table import FeatureTable

MOST_COMPONENTS, MOST_TRAIN = 10_000, 50_000
"""The paper's number of samples, and the training images of CIFAR-10; a seeded choice where there are more."""
LEAST = 20


class FeatureLikelihood(Metric):
    """`fld`, lower is better, and `fld_gap`, below 0 the more the samples memorise (Jiralerspong et al. 2023).

    A mixture of isotropic Gaussians at the samples, their variances fitted to the training images. `fld` is 100 times
    its mean negative log-likelihood of the test images per dimension, less that of a mixture at half of the training
    images fitted to the other half; it rewards fidelity, diversity and novelty at once. `fld_gap` is 100 times that of
    the training images less that of the test images: 0 for samples that know no training image from a new one, far
    below 0 for copies of all of them; copies of a few show in a huge `fld`. Features are normalised by the training
    images' mean and deviation (the authors' code: by the test images'). None without training or test images. No
    error: each draw needs a new fit.

    Raises:
        DataError: fewer than 20 samples or training images.
    """

    keys = ("fld", "fld_gap")
    title = "the feature likelihood"
    needs_splits = True

    def least(self, dims: int) -> Mapping[str, int]:
        return dict.fromkeys((SAMPLES, TRAIN), LEAST)

    def __init__(self) -> None:
        self._baseline: tuple[FeatureTable, FeatureTable, int, float] | None = None

    def __call__(self, evidence: Evidence) -> Scores:
        if evidence.train is None or evidence.test is None:
            return {"fld": Score(None), "fld_gap": Score(None)}
        self.require_enough(evidence)
        mean, deviation = evidence.train.features.mean(0), evidence.train.features.std(0)
        # features that no training image varies say nothing: they are centred, not blown up
        deviation = torch.where(deviation > 0.0, deviation, 1.0)
        samples, train, test = (
            (table.features - mean) / deviation for table in (evidence.samples, evidence.train, evidence.test)
        )
        samples, train = _choose(samples, MOST_COMPONENTS), _choose(train, MOST_TRAIN)
        mixture = GaussianMixture.fitted(samples, train)
        on_train, on_test = mixture.nll(train), mixture.nll(test)
        baseline = self._of_train(evidence.train, evidence.test, len(samples), train, test)
        return {"fld": Score(100.0 * (on_test - baseline)), "fld_gap": Score(100.0 * (on_train - on_test))}

    def _of_train(self, known: FeatureTable, other: FeatureTable, size: int, train: Tensor, test: Tensor) -> float:
        """What half of the training images make of the test images; the same for every set of so many samples."""
        kept = self._baseline
        if kept is None or kept[0] is not known or kept[1] is not other or kept[2] != size:
            half = min(size, len(train) // 2)
            value = GaussianMixture.fitted(train[:half], train[half:]).nll(test)
            self._baseline = kept = (known, other, size, value)
        return kept[3]


def _choose(features: Tensor, most: int) -> Tensor:
    """At most so many rows, shuffled with a fixed seed."""
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    return features[order[:most]]
