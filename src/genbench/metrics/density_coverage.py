"""Density and coverage by nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from genbench.metrics.base import REFERENCE, Evidence, Metric, Score, Scores
from genbench.metrics.neighbours import distances
from genbench.metrics.resampling import from_influence, from_losses


class DensityCoverage(Metric):
    """`density`: reference balls per sample, over k; `coverage`: fraction of the reference's balls that hold a sample.

    A ball reaches to its image's k-th nearest other reference image, k being `neighbours` (Naeem et al. 2020, eq. 3-4).
    Density is about 1 for equal distributions, 0 far away, and may pass 1; coverage is in [0,1]. Errors: the spread
    over samples for density, the jackknife for coverage. None without reference images.

    Raises:
        DataError: `neighbours` reference images or fewer.
    """

    keys = ("density", "coverage")
    title = "density and coverage"

    def __init__(self, neighbours: int = 3) -> None:
        self.neighbours = neighbours

    @property
    def agreed(self) -> Mapping[str, int | bool]:
        return {"neighbours": self.neighbours}

    def least(self, dims: int) -> Mapping[str, int]:
        return {REFERENCE: self.neighbours + 1}

    def instead(self, n: int) -> str:
        return f"protocol.neighbours={n - 1} or less" if n > 1 else ""

    def __call__(self, evidence: Evidence) -> Scores:
        samples, reference = evidence.samples, evidence.reference
        if reference is None:
            return {"density": Score(None), "coverage": Score(None)}
        self.require_enough(evidence)
        n, total = len(samples), len(reference)
        radii = reference.radii(self.neighbours)
        balls, lost, covered = torch.zeros(n), torch.zeros(n), 0
        for rows, distance in distances(reference.features, samples.features):
            inside = distance <= radii[rows, None]
            visits = inside.sum(1)
            balls += inside.sum(0)
            lost += inside[visits == 1].sum(0)
            covered += int((visits > 0).sum())
        density = balls.double() / self.neighbours
        return {
            "density": Score(float(density.mean()), from_influence(density)),
            "coverage": Score(covered / total, from_losses(lost / total)),
        }
