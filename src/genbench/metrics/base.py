"""The contract of a metric: evidence in, scores with their standard errors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from genbench.metrics.moments import Moments
from genbench.metrics.table import FeatureTable


@dataclass(frozen=True)
class Evidence:
    """What a metric may look at, all over one extractor.

    `reference` is None, and `moments` all there is of it, where published statistics stand for the images.
    `train` and `test` are the data's own splits, None where they are not known; one of them is the reference.
    """

    samples: FeatureTable
    reference: FeatureTable | None
    moments: Moments
    train: FeatureTable | None = None
    test: FeatureTable | None = None


@dataclass(frozen=True)
class Score:
    """A number, None where the metric does not apply to this evidence, and its standard error, None if unknown.

    The error is that of drawing other samples of the same number; the reference is held fixed.
    """

    value: float | None
    error: float | None = None


Scores = dict[str, Score]
"""Scores by the key they have in results and tables."""


class Metric(ABC):
    """A number or several of one set of samples.

    `needs_splits` says that it reads `evidence.train` and `evidence.test`, `needs_images` that it reads
    `evidence.samples.image` and those of the splits: neither is made unless a metric asks for it. `fingerprint` is the
    sha256 of weights of the metric's own, where it has any: they count in the protocol's hash. `agreed` are arguments
    that must equal the protocol's fields of the same names, because its hash speaks for them.
    """

    needs_splits: ClassVar[bool] = False
    needs_images: ClassVar[bool] = False
    fingerprint: str | None = None

    @property
    def agreed(self) -> Mapping[str, int | bool]:
        """Arguments by the name of the protocol's field."""
        return {}

    @abstractmethod
    def __call__(self, evidence: Evidence) -> Scores:
        """The scores of `evidence.samples`.

        Raises:
            DataError: too few images for this metric; names the least number.
        """
