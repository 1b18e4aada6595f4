"""Mean and covariance of features, the Gaussian fit that Frechet distances compare."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genbench.core import DataError

BLOCK = 4096


@dataclass(frozen=True)
class Moments:
    """Mean [D] and unbiased covariance [D,D], float64, of `count` feature vectors.

    `count` is None for published statistics that do not tell it.
    """

    mean: Tensor
    covariance: Tensor
    count: int | None

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Moments of features [N,D], in blocks, so that only D x D doubles and one block are held.

        Raises:
            DataError: fewer than two vectors, or values that are not finite.
        """
        n = len(features)
        if n < 2:
            raise DataError(f"mean and covariance need at least 2 images, got {n}")
        blocks = torch.split(features, BLOCK)
        mean = sum((block.double().sum(0) for block in blocks), torch.zeros(features.shape[1], dtype=torch.float64)) / n
        require_finite(mean, "features")
        covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
        for block in blocks:
            centred = block.double() - mean
            covariance.addmm_(centred.T, centred)
        return cls(mean, covariance / (n - 1), n)

    @cached_property
    def factor(self) -> Tensor:
        """A matrix F [D,D] with F F' = covariance, made once: a reference meets many sets of samples."""
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(self.covariance)
        if failed:
            # singular: as many dimensions as images, or some that never vary
            values, vectors = torch.linalg.eigh(self.covariance)
            factor = vectors * values.clamp_min(0.0).sqrt()
        return factor


def require_finite(values: Tensor, name: str) -> None:
    """Refuses NaN and infinite numbers, from which every metric would make a different nonsense.

    Raises:
        DataError: there are such; names what holds them.
    """
    if not values.isfinite().all():
        raise DataError(f"the {name} hold NaN or infinite values: look at the images, or at the extractor's weights")
