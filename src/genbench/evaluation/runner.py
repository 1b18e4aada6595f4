"""Runs the protocol: draw, extract, score, repeat."""

import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genbench.core import ImageSpec
from genbench.evaluation.extraction import extract
from genbench.evaluation.protocol import Protocol, short_hash
from genbench.evaluation.reference import Reference
from genbench.evaluation.sources import ImageSource, NoiseSource
from genbench.features import FeatureExtractor
from genbench.metrics import FeatureTable, Metric, Scores

Result = dict[str, Any]
"""What a judgement found, ready for JSON."""


@dataclass(frozen=True)
class Judge:
    """Scores any source of images against one reference under one protocol.

    `batch` moves speed and memory, never a score. Fewer images than feature dimensions are scored with a warning.

    Raises:
        ConfigError: an extractor that cannot judge images of this spec.
    """

    spec: ImageSpec
    protocol: Protocol
    extractor: FeatureExtractor
    metrics: Mapping[str, Metric]
    reference: Reference
    batch: int = 250
    progress: bool = False

    def __post_init__(self) -> None:
        self.extractor.check(self.spec)
        _warn_if_singular(self.reference.table, f"the reference {self.reference.name}")

    @property
    def fields(self) -> dict[str, Any]:
        """Everything that two comparable scores share."""
        return self.protocol.identity(self.extractor, self.reference.sha256)

    @property
    def hash(self) -> str:
        """The short hash that every number of this judge carries."""
        return short_hash(self.fields)

    def evaluate(self, source: ImageSource) -> Result:
        """Scores of a source: means over the protocol's seeds, and sample deviations `*_std` (None for one seed).

        A source with exactly as many images as asked for would repeat itself, and is judged once. One with
        more is judged on a random subset per seed; these overlap, so their deviation understates.

        Raises:
            DataError: fewer images than the protocol asks for, or images unlike the data.
        """
        once = source.size == self.protocol.samples
        repeats = [self.scores(source, seed) for seed in range(1 if once else self.protocol.repeats)]
        result: Result = {}
        for key in repeats[0]:
            result[key], result[f"{key}_std"] = _mean_and_deviation([row[key] for row in repeats])
        return result | {
            "features": self.extractor.name,
            "protocol": self.hash,
            "protocol_fields": self.fields,
            "samples": self.protocol.samples,
            "repeats": [{"seed": seed, **row} for seed, row in enumerate(repeats)],
            "sample_seconds_per_1k": source.cost.seconds_per_1k if source.cost else None,
            "nfe": source.cost.nfe if source.cost else None,
        }

    def controls(self, real: ImageSource) -> dict[str, Result]:
        """The rows `real` (the split that is not the reference) and `noise`, between which a model should lie.

        Where the split is smaller than the protocol asks for, all of it is used under the protocol of that size.
        """
        n = min(self.protocol.samples, real.size or self.protocol.samples)
        judge = replace(self, protocol=replace(self.protocol, samples=n))
        return {"real": judge.evaluate(real), "noise": self.evaluate(NoiseSource(self.spec))}

    def scores(self, source: ImageSource, seed: int) -> Scores:
        """The numbers of one sampling seed."""
        n = self.protocol.samples
        title = f"{source.name}, sampling seed {seed}" if self.progress else None
        table = extract(source.batches(n, self.batch, seed), self.extractor, n, title)
        _warn_if_singular(table, source.name)
        scores: Scores = {}
        for metric in self.metrics.values():
            scores |= metric(table, self.reference.table)
        return scores


def _mean_and_deviation(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None, None
    return statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None


def _warn_if_singular(table: FeatureTable, who: str) -> None:
    n, dims = table.features.shape
    if n <= dims:
        warnings.warn(
            f"{who}: {n} images cannot fill a covariance of {dims} features; the Frechet distance is computed, "
            f"but biased: use more than {dims} images",
            stacklevel=3,
        )
