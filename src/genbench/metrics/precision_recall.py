"""Precision and recall by nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from genbench.metrics.base import REFERENCE, SAMPLES, Evidence, Metric, Score, Scores
from genbench.metrics.neighbours import distances
from genbench.metrics.resampling import from_losses, of_rate


class PrecisionRecall(Metric):
    """`precision`: samples within the reference's manifold; `recall`: reference within the samples' (both in [0,1]).

    A manifold is the union of balls around its points, each reaching to the point's k-th nearest other, k being
    `neighbours` (Kynkaanniemi et al. 2019, eq. 1-2). The counts are torch-fidelity's, by fewer distances.
    Errors: binomial for precision; the jackknife over the samples' balls, radii fixed, for recall. None without
    reference images.

    Raises:
        DataError: `neighbours` samples or reference images, or fewer.
    """

    keys = ("precision", "recall")
    title = "precision and recall"

    def __init__(self, neighbours: int = 3) -> None:
        self.neighbours = neighbours

    @property
    def agreed(self) -> Mapping[str, int | bool]:
        return {"neighbours": self.neighbours}

    def least(self, dims: int) -> Mapping[str, int]:
        return dict.fromkeys((SAMPLES, REFERENCE), self.neighbours + 1)

    def instead(self, n: int) -> str:
        return f"protocol.neighbours={n - 1} or less" if n > 1 else ""

    def __call__(self, evidence: Evidence) -> Scores:
        samples, reference = evidence.samples, evidence.reference
        if reference is None:
            return {"precision": Score(None), "recall": Score(None)}
        self.require_enough(evidence)
        n, total = len(samples), len(reference)
        sample_radii, reference_radii = samples.radii(self.neighbours), reference.radii(self.neighbours)
        realistic = torch.zeros(n, dtype=torch.bool)
        recalled, lost = 0, torch.zeros(n)
        for rows, distance in distances(reference.features, samples.features):
            realistic |= (distance <= reference_radii[rows, None]).any(0)
            covering = distance <= sample_radii
            balls = covering.sum(1)
            recalled += int((balls > 0).sum())
            lost += covering[balls == 1].sum(0)
        precision = int(realistic.sum()) / n
        return {
            "precision": Score(precision, of_rate(precision, n)),
            "recall": Score(recalled / total, from_losses(lost / total)),
        }
