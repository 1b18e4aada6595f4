"""Frechet distance between Gaussian fits of the features."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.core import DataError
from genbench.metrics.base import Evidence, Metric, Score, Scores
from genbench.metrics.moments import BLOCK, Moments
from genbench.metrics.resampling import from_influence


class FrechetDistance(Metric):
    """`fd` = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) in float64; FID over Inception (Heusel et al. 2017, eq. 6).

    The error is the infinitesimal jackknife. With no more samples than dimensions the covariance is singular; the
    distance is then far above that of many samples, and its error is that within the dimensions they span.
    """

    keys = ("fd",)

    def __call__(self, evidence: Evidence) -> Scores:
        samples, reference = evidence.samples, evidence.moments
        values, vectors = _product(samples.moments, reference)
        error = from_influence(_influence(samples.features, samples.moments, reference, values, vectors))
        return {"fd": Score(_distance(samples.moments, reference, values), error)}


def frechet(a: Moments, b: Moments) -> float:
    """The squared Frechet distance of two Gaussians; eigenvalues of a symmetric product, so no complex roots.

    Raises:
        DataError: moments of different dimensions.
    """
    _require_same_dimensions(a, b)
    return _distance(a, b, _spectrum(torch.linalg.eigvalsh(b.factor.T @ a.covariance @ b.factor)))


def influence(features: Tensor, a: Moments, b: Moments) -> Tensor:
    """The influence [N], float64, of each row of features [N,D], whose moments are `a`, on their distance to `b`."""
    return _influence(features, a, b, *_product(a, b))


def _require_same_dimensions(a: Moments, b: Moments) -> None:
    if a.mean.shape != b.mean.shape:
        raise DataError(
            f"features of {len(a.mean)} and {len(b.mean)} dimensions cannot be compared: the reference was made with "
            "another extractor"
        )


def _product(a: Moments, b: Moments) -> tuple[Tensor, Tensor]:
    """Eigenvalues and vectors of F' a F, where F F' = b: its eigenvalues are those of a b."""
    _require_same_dimensions(a, b)
    values, vectors = torch.linalg.eigh(b.factor.T @ a.covariance @ b.factor)
    return _spectrum(values), vectors


def _spectrum(values: Tensor) -> Tensor:
    """Eigenvalues below what rounding leaves of zero are zero: their roots would not be small."""
    return torch.where(values > values[-1] * len(values) * torch.finfo(values.dtype).eps, values, 0.0)


def _distance(a: Moments, b: Moments, values: Tensor) -> float:
    traces = a.covariance.trace() + b.covariance.trace()
    return float((a.mean - b.mean).square().sum() + traces - 2.0 * values.sqrt().sum())


def _influence(features: Tensor, a: Moments, b: Moments, values: Tensor, vectors: Tensor) -> Tensor:
    """First derivative of the distance to a sample's weight: 2 (m1 - m2) c + c' (1 - P) c, c = x - m1.

    P = F (F' a F)^(-1/2) F' is the optimal transport map from `a` to `b`, and 1 - P the derivative of the distance to
    a's covariance; a pseudo-inverse where that is singular. Products in float32: this is for an error.
    """
    inverse_root = (vectors * torch.where(values > 0.0, values.rsqrt(), 0.0)) @ vectors.T
    slope = -(b.factor @ inverse_root @ b.factor.T).float()
    slope.diagonal().add_(1.0)
    shift = (2.0 * (a.mean - b.mean)).float()
    parts = []
    for block in torch.split(features, BLOCK):
        centred = (block.double() - a.mean).float()
        parts.append(((centred @ slope + shift) * centred).sum(1).double())
    return torch.cat(parts)
