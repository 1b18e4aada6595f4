"""The contract of a metric: evidence in, scores with their standard errors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from genbench.core import DataError
from genbench.metrics.moments import Moments
from genbench.metrics.table import FeatureTable

SAMPLES, REFERENCE, TRAIN = "samples", "reference images", "training images"
"""The kinds of images that a metric may need a least number of."""


@dataclass(frozen=True)
class Evidence:
    """What a metric may look at, all over one extractor.

    `reference` is None, and `moments` all there is of it, where published statistics stand for the images.
    `train` and `test` are the data's own splits, None where they are not known; one of them is the reference.
    `taught` are the captions of all training images, None where they are not known.
    """

    samples: FeatureTable
    reference: FeatureTable | None
    moments: Moments
    train: FeatureTable | None = None
    test: FeatureTable | None = None
    taught: Sequence[str] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are of each kind that a metric may ask for."""
        tables = {SAMPLES: self.samples, REFERENCE: self.reference, TRAIN: self.train}
        return {kind: len(table) for kind, table in tables.items() if table is not None}


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
    `evidence.samples.image` and those of the splits, `needs_captions` that it reads what samples were asked to show:
    none is made unless a metric asks for it. `needs_labels` says that there is no score where samples have none.
    `fingerprint` is the sha256 of weights of the metric's own, where it has any: they count in the protocol's hash.
    `agreed` are arguments that must equal the protocol's fields of the same names, because its hash speaks for them.
    `title` is what errors call it. `keys` are those of its scores.
    """

    title: ClassVar[str] = "this metric"
    keys: ClassVar[tuple[str, ...]] = ()
    needs_splits: ClassVar[bool] = False
    needs_images: ClassVar[bool] = False
    needs_captions: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    fingerprint: str | None = None

    @property
    def agreed(self) -> Mapping[str, int | bool]:
        """Arguments by the name of the protocol's field."""
        return {}

    def least(self, dims: int) -> Mapping[str, int]:
        """The least number of images of each kind that this takes, over features of so many dimensions."""
        return {}

    def instead(self, n: int) -> str:
        """What to type where there are only `n` images; empty where nothing but more images helps."""
        return ""

    def shortage(self, counts: Mapping[str, int], dims: int) -> str | None:
        """What there is too little of, and how much it takes; None where there is enough.

        Images of a kind that is not at hand are no shortage: the score is then None.
        """
        least = self.least(dims)
        if not least.keys() <= counts.keys():
            return None
        for kind, needed in least.items():
            if (n := counts[kind]) < needed:
                instead = f" (or set {self.instead(n)})" if self.instead(n) else ""
                return f"{n} {kind} are too few for {self.title}: at least {needed} are needed{instead}"
        return None

    def require_enough(self, evidence: Evidence) -> None:
        """Refuses evidence with too few images.

        Raises:
            DataError: naming what there is too little of, and the least number.
        """
        if lack := self.shortage(evidence.counts, evidence.samples.features.shape[1]):
            raise DataError(lack)

    @abstractmethod
    def __call__(self, evidence: Evidence) -> Scores:
        """The scores of `evidence.samples`.

        Raises:
            DataError: too few images for this metric; names the least number.
        """
