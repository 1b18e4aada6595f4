"""CLIP maximum mean discrepancy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genbench.metrics.base import Evidence, Metric, Score, Scores
from genbench.metrics.resampling import from_influence

SIGMA, SCALE = 10.0, 1000.0
BLOCK = 2**24
"""Kernel values held at a time: 64 MiB of float32."""


class Cmmd(Metric):
    """`cmmd`: 1000 times the squared MMD of unit features, Gaussian kernel of width 10 (Jayasumana et al. 2024, eq. 2).

    The paper's estimator, with each image's kernel to itself, so never below 0. It is CMMD proper, comparable with
    published ones, only over CLIP ViT-L/14-336 image embeddings. The error is Hoeffding's projection. None without
    reference images.
    """

    keys = ("cmmd",)

    def __call__(self, evidence: Evidence) -> Scores:
        if evidence.reference is None:
            return {"cmmd": Score(None)}
        x, y = (F.normalize(table.features, dim=1) for table in (evidence.samples, evidence.reference))
        within, across = _mean_gaps(x, x), _mean_gaps(x, y)
        value = 2.0 * across.mean() - within.mean() - _mean_gaps(y, y).mean()
        return {"cmmd": Score(SCALE * float(value), SCALE * from_influence(2.0 * (across - within)))}


def _mean_gaps(rows: Tensor, others: Tensor) -> Tensor:
    """One less the mean kernel of each row [N] to the others, in float64.

    All kernels of unit vectors are between 0.98 and 1, and the ones cancel in the discrepancy: they are never added.
    """
    gaps = []
    for block in torch.split(rows, max(1, BLOCK // len(others))):
        squared = (2.0 - 2.0 * (block @ others.T)).clamp_min_(0.0)
        gaps.append(-squared.mul_(-0.5 / SIGMA**2).expm1_().mean(1).double())
    return torch.cat(gaps)
