"""Runs the protocol: draw, extract, score, repeat."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.evaluation.extraction import extract
from genbench.evaluation.minimum import require_enough
from genbench.evaluation.protocol import Protocol, short_hash
from genbench.evaluation.ranks import from_first
from genbench.evaluation.reference import Reference, sha256_of_captions
from genbench.evaluation.sources import ImageSource
from genbench.evaluation.store import ChunkStore
from genbench.features import FeatureExtractor
from genbench.metrics import Evidence, FeatureTable, Metric, Score, Scores, within_range
from genbench.metrics.base import REFERENCE, SAMPLES, TRAIN

Result = dict[str, Any]
"""What a judgement found, ready for JSON."""

Split = Literal["train", "test"]

Z95 = 1.959964
"""Half the width of a 95 % interval, in standard errors."""


@dataclass(frozen=True)
class Judge:
    """Scores any source of images against one reference under one protocol.

    `splits` are the data's own images, for the metrics that compare with both. `captions` are those of captioned data:
    the test captions are what models are asked for, image i for number i modulo their count. `sampler` is what every
    model was made to draw with, None if each drew with its own. `keep_images` keeps drawn images in the store for
    further judges, even if no metric of this one needs them. `batch` moves speed and memory, never a score. Fewer
    images than feature dimensions are scored, with a warning and a flag in the result.

    Raises:
        ConfigError: an extractor that cannot judge images of this spec, metrics with other constants than the
            protocol's, a need for more images or for captions where there are none, or imported statistics of another
            number of features.
    """

    spec: ImageSpec
    protocol: Protocol
    extractor: FeatureExtractor
    metrics: Mapping[str, Metric]
    reference: Reference
    splits: Mapping[Split, Reference] = field(default_factory=dict)
    captions: Mapping[Split, Sequence[str]] = field(default_factory=dict)
    sampler: Mapping[str, Any] | None = None
    keep_images: bool = False
    batch: int = 250
    progress: bool = False

    def __post_init__(self) -> None:
        self.extractor.check(self.spec)
        self._check_constants()
        self._check_captions()
        self._check_width()
        require_enough(self.metrics, self._counts, len(self.reference.moments.mean))
        for flag in self._reference_flags():
            warnings.warn(flag, stacklevel=3)

    @property
    def fields(self) -> dict[str, Any]:
        """Everything that two comparable scores share."""
        reference = {"split": self.protocol.reference, "sha256": self.reference.sha256}
        others = {name: split.sha256 for name, split in self.splits.items() if split is not self.reference}
        weights = {name: metric.fingerprint for name, metric in self.metrics.items() if metric.fingerprint}
        identity = self.protocol.identity(self.extractor, self.spec.levels, reference | others, self.sampler)
        captions = {split: sha256_of_captions(texts) for split, texts in self.captions.items()}
        return identity | ({"metrics": weights} if weights else {}) | ({"captions": captions} if captions else {})

    @property
    def prompts(self) -> Sequence[str] | None:
        """What a model that reads captions is asked for, in turn."""
        return self.captions.get("test")

    @property
    def hash(self) -> str:
        """The short hash that every number of this judge carries."""
        return short_hash(self.fields)

    def evaluate(
        self,
        source: ImageSource,
        store: ChunkStore | None = None,
        memory: Callable[[int], FeatureTable | None] | None = None,
    ) -> Result:
        """Scores of a source: means over the protocol's seeds `K`, with `K_std`, `K_error` and `K_interval`.

        `K_std` is the sample deviation over the seeds (None for one seed), `K_error` the standard error of the mean
        by resampling within each seed, `K_interval` 95 % about it, within the score's range: where the score of
        other samples under this very protocol would lie. A source with exactly as many images as asked for would
        repeat itself, and is judged once. One with more is judged on a random subset per seed; these overlap, so their
        deviation understates. `store` keeps what is drawn and extracted, so that an interrupted judgement goes on.
        `memory` stands in for the training images of a seed, as metrics of memorisation see them.

        Raises:
            DataError: fewer images than the protocol asks for, or images unlike the data.
        """
        once = source.once or source.size == self.protocol.samples
        repeats, flags = [], self._reference_flags() + self._caption_flags(source)
        for seed in range(1 if once else self.protocol.repeats):
            table = self.table(source, seed, store)
            flags += [flag for flag in self._flags(table, source.name) if flag not in flags]
            train = self.split("train") if memory is None else memory(seed)
            repeats.append(from_first(f"score {source.name}", partial(self.scores, table, train)))
        result: Result = {}
        for key in repeats[0]:
            result |= _summary(key, [row[key] for row in repeats], independent=source.size is None)
        cost = source.cost if source.cost and source.cost.images else None
        return result | {
            "features": self.extractor.name,
            "protocol": self.hash,
            "protocol_fields": self.fields,
            "samples": self.protocol.samples,
            "repeats": [{"seed": seed, **_plain(row)} for seed, row in enumerate(repeats)],
            "flags": flags,
            "sample_seconds_per_1k": cost.seconds_per_1k if cost else None,
            "nfe": cost.nfe if cost else None,
        }

    def table(self, source: ImageSource, seed: int, store: ChunkStore | None = None) -> FeatureTable:
        """The features of one sampling seed."""
        title = f"{source.name}, sampling seed {seed}" if self.progress else None
        return extract(
            source,
            self.extractor,
            self.protocol.samples,
            seed=seed,
            batch=self.batch,
            store=store,
            keep_images=self.keep_images or any(metric.needs_images for metric in self.metrics.values()),
            progress=title,
        )

    def scores(self, samples: FeatureTable, train: FeatureTable | None) -> Scores:
        """The numbers of one table; `train` are the images that a model may have memorised."""
        evidence = Evidence(
            samples, self.reference.table, self.reference.moments, train, self.split("test"), self.captions.get("train")
        )
        scores: Scores = {}
        for name, metric in self.metrics.items():
            found = metric(evidence)
            if again := found.keys() & scores.keys():
                raise ConfigError(f"metric.{name} and another both score {', '.join(sorted(again))}: leave one out")
            scores |= found
        return scores

    def split(self, name: Split) -> FeatureTable | None:
        """The features of one of the data's splits, where they were made."""
        return self.splits[name].table if name in self.splits else None

    def _check_constants(self) -> None:
        for name, metric in self.metrics.items():
            for constant, value in metric.agreed.items():
                if value != (said := getattr(self.protocol, constant)):
                    raise ConfigError(
                        f"metric.{name} computes with {constant}={value}, but the protocol, whose hash speaks for it, "
                        f"says {said}: set protocol.{constant}={value}"
                    )

    def _check_captions(self) -> None:
        if self._caption_metrics and not self.prompts:
            names = ", ".join(self._caption_metrics)
            raise ConfigError(
                f"metric {names} judges by captions, and these data have none: use data that have them, such as "
                "data=shapes, or other metrics, such as metric=[fd]"
            )

    @property
    def _caption_metrics(self) -> list[str]:
        return [name for name, metric in self.metrics.items() if metric.needs_captions]

    def _caption_flags(self, source: ImageSource) -> list[str]:
        """That a model was asked for nothing; stored images without captions are refused."""
        if not self._caption_metrics or source.captions([0]) is not None:
            return []
        names = ", ".join(self._caption_metrics)
        if source.cost is None:
            raise DataError(
                f"{source.name} does not say what its images were asked to show, and metric {names} needs to know: "
                "give an npz with an array `captions`, or other metrics, such as metric=[fd]"
            )
        return [f"{source.name} reads no captions: {names} does not apply"]

    def _check_width(self) -> None:
        if self.reference.table is not None:
            return
        ours, theirs = self.extractor.width(self.spec), len(self.reference.moments.mean)
        if ours != theirs:
            raise ConfigError(
                f"{self.reference.name} holds statistics of {theirs} features, but features={self.extractor.name} has "
                f"{ours}: give the statistics, or the features, of the same extractor"
            )

    @property
    def _counts(self) -> dict[str, int]:
        tables = {REFERENCE: self.reference.table, TRAIN: self.split("train")}
        known = {kind: len(table) for kind, table in tables.items() if table is not None}
        return {SAMPLES: self.protocol.samples, **known}

    def _reference_flags(self) -> list[str]:
        count = self.reference.moments.count
        return _singular(count, len(self.reference.moments.mean), f"the reference {self.reference.name}")

    def _flags(self, table: FeatureTable, who: str) -> list[str]:
        flags = _singular(len(table), table.features.shape[1], who)
        for flag in flags:
            warnings.warn(flag, stacklevel=3)
        return flags


def _singular(count: int | None, dims: int, who: str) -> list[str]:
    if count is None or count > dims:
        return []
    return [
        f"{who}: {count} images cannot fill a covariance of {dims} features; the Frechet distance is computed, "
        f"but biased: use more than {dims} images"
    ]


def _plain(row: Mapping[str, Score]) -> dict[str, float | None]:
    numbers = {key: score.value for key, score in row.items()}
    return numbers | {f"{key}_error": score.error for key, score in row.items()}


def _summary(key: str, scores: Sequence[Score], independent: bool) -> dict[str, Any]:
    values = [score.value for score in scores if score.value is not None]
    errors = [score.error for score in scores if score.error is not None]
    if len(values) < len(scores):
        return {key: None, f"{key}_std": None, f"{key}_error": None, f"{key}_interval": None}
    mean = statistics.fmean(values)
    known = len(errors) == len(scores)
    # samples drawn anew are independent, so their mean errs less; subsets of one stored set overlap, and gain nothing
    gained = len(errors) if independent else 1
    error = math.sqrt(math.fsum(e * e for e in errors) / len(errors) / gained) if known else None
    return {
        key: mean,
        f"{key}_std": statistics.stdev(values) if len(values) > 1 else None,
        f"{key}_error": error,
        f"{key}_interval": None if error is None else within_range(key, mean - Z95 * error, mean + Z95 * error),
    }
