"""Are samples copies of training images?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.base import SAMPLES, TRAIN, Evidence, Metric, Score, Scores
from genbench.metrics.neighbours import nearest
from genbench.metrics.resampling import of_rate

CELLS, LEAST = 3, 20
"""Cells of the training images, and the samples that a cell needs more than: those of the published figures."""


class Memorisation(Metric):
    """`ct`: z-score, far below 0 for copies; `auth`: fraction of samples that are no copies, in [0,1].

    `ct` (Meehan et al. 2020, eq. 3) asks whether samples are closer to the training images than test images are: a
    Mann-Whitney z within each of 3 k-means cells of the training images, averaged with the test images' shares; cells
    with 20 samples or fewer, or without training or test images, are left out. 0 for samples as new as test images,
    far above 0 for samples far from the data. `auth` (Alaa et al. 2022, section 3.4) counts samples farther from
    their nearest training image than that is from its own nearest other. None without training and test images.

    Raises:
        DataError: too few samples for a cell, or too few training images.
    """

    keys = ("ct", "auth")
    title = "the data-copying test"
    needs_splits = True

    def least(self, dims: int) -> Mapping[str, int]:
        return {SAMPLES: CELLS * LEAST + 1, TRAIN: CELLS}

    def __call__(self, evidence: Evidence) -> Scores:
        samples, train, test = evidence.samples, evidence.train, evidence.test
        if train is None or test is None:
            return {"ct": Score(None), "auth": Score(None)}
        self.require_enough(evidence)
        distance, index = nearest(samples.features, train.features)
        auth = float((distance > train.radii(1)[index]).double().mean())
        return {
            "ct": _data_copying(samples.features, train.features, test.features),
            "auth": Score(auth, of_rate(auth, len(samples))),
        }


def _data_copying(samples: Tensor, train: Tensor, test: Tensor) -> Score:
    """C_T with the standard error of its ranks; cells are taken as they are."""
    # imported here: it takes seconds, which only this metric is worth
    from sklearn.cluster import KMeans

    cells = KMeans(CELLS, n_init=1, random_state=0).fit(train.numpy())
    of_samples, of_train, of_test = (torch.from_numpy(cells.predict(x.numpy())) for x in (samples, train, test))
    scores, variances, shares = [], [], []
    for cell in range(CELLS):
        drawn, known, new = samples[of_samples == cell], train[of_train == cell], test[of_test == cell]
        if len(drawn) > LEAST and len(known) > 0 and len(new) > 0:
            score, variance = _closeness(nearest(drawn, known)[0].numpy(), nearest(new, known)[0].numpy())
            scores.append(score)
            variances.append(variance)
            shares.append(len(new))
    if not shares:
        return Score(None)
    weights = np.array(shares) / sum(shares)
    return Score(float(weights @ scores), math.sqrt(float(weights**2 @ variances)))


def _closeness(drawn: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Mann-Whitney z of the samples' distances against the test images', and its variance if samples are redrawn."""
    m, n = len(drawn), len(new)
    ordered = np.sort(new)
    # test images closer than each sample, ties counted half: their sum is the statistic U
    closer = (np.searchsorted(ordered, drawn, "left") + np.searchsorted(ordered, drawn, "right")) / 2
    variance = m * n * (m + n + 1) / 12
    # with the continuity correction of the authors' code
    z = (float(closer.sum()) - (m * n / 2 - 0.5)) / math.sqrt(variance)
    return z, m * float(closer.var()) / variance
