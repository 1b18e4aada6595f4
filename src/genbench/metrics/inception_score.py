"""Inception score."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

from genbench.core import ConfigError
from genbench.metrics.base import SAMPLES, Evidence, Metric, Score, Scores
from genbench.metrics.resampling import bootstrap_weights

SHUFFLE_SEED = 2020
"""torch-fidelity's, so that the parts are the same."""


class InceptionScore(Metric):
    """`is` = exp E KL(p(y|x) | p(y)), the mean over `splits` equal parts (Salimans et al. 2016, section 4).

    Between 1 and the number of classes; None over extractors without classes. The parts are cut from the samples
    as they come, or after a seeded `shuffle`. Numerics and shuffle are torch-fidelity's; the error is the bootstrap's.

    Raises:
        ConfigError: no splits.
    """

    keys = ("is",)
    title = "the inception score"

    def __init__(self, splits: int = 10, shuffle: bool = True) -> None:
        if splits < 1:
            raise ConfigError(f"protocol.is_splits is {splits}; expected at least 1 (10 is the common choice)")
        self.splits = splits
        self.shuffle = shuffle

    @property
    def agreed(self) -> Mapping[str, int | bool]:
        return {"is_splits": self.splits, "is_shuffle": self.shuffle}

    def least(self, dims: int) -> Mapping[str, int]:
        return {SAMPLES: self.splits}

    def instead(self, n: int) -> str:
        return f"protocol.is_splits={n} or less"

    def __call__(self, evidence: Evidence) -> Scores:
        logits = evidence.samples.logits
        n = len(logits)
        if logits.shape[1] == 0:
            return {"is": Score(None)}
        self.require_enough(evidence)
        if self.shuffle:
            logits = logits[torch.from_numpy(np.random.RandomState(SHUFFLE_SEED).permutation(n))]
        value = isc_features_to_metric(logits, splits=self.splits, shuffle=False)[KEY_METRIC_ISC_MEAN]
        # the parts are independent and of one size, so the mean's error follows from that of one of them
        return {"is": Score(value, float(_bootstrap(logits, n // self.splits).std()) / math.sqrt(self.splits))}


def _bootstrap(logits: Tensor, size: int) -> Tensor:
    """Inception scores [DRAWS] of `size` rows drawn anew: the marginal's entropy less the rows' mean entropy."""
    logits = logits.double()
    p = logits.softmax(1)
    negative_entropy = (p * logits.log_softmax(1)).sum(1)
    weights = bootstrap_weights(len(logits), size)
    marginal = weights @ p
    return (weights @ negative_entropy - marginal.xlogy(marginal).sum(1)).exp()
