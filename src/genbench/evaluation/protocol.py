"""The protocol: every choice that moves a score, recorded and hashed with it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genbench.core import ConfigError
from genbench.features import FeatureExtractor

VERSION = 1
"""Of the metrics' numerics: raised when one of them gives other numbers for the same images."""


@dataclass(frozen=True)
class Protocol:
    """How many samples are drawn, how often and how, against which split, and with which constants of the metrics.

    Sampling seeds are 0 to `repeats`-1. `is_splits` and `is_shuffle` are the inception score's, `kid_subsets` and
    `kid_subset_size` those of the kernel distance, `neighbours` the k of precision, recall, density and coverage.
    `rounding` says how floats become bytes, `weights` whether the averaged weights of a run are judged, the raw, or an
    average of the relative length that it gives.

    Raises:
        ConfigError: counts below what any metric can use.
    """

    name: str
    samples: int
    reference: Literal["train", "test"] = "test"
    repeats: int = 1
    is_splits: int = 10
    is_shuffle: bool = True
    kid_subsets: int = 100
    kid_subset_size: int = 1000
    neighbours: int = 3
    rounding: Literal["nearest", "truncate"] = "nearest"
    weights: Literal["ema", "raw"] | float = "ema"

    def __post_init__(self) -> None:
        for field, least in (
            ("samples", 2),
            ("repeats", 1),
            ("is_splits", 1),
            ("kid_subsets", 1),
            ("kid_subset_size", 2),
            ("neighbours", 1),
        ):
            value = getattr(self, field)
            if value < least:
                raise ConfigError(f"protocol.{field} is {value}; expected at least {least}")

    def identity(
        self,
        extractor: FeatureExtractor,
        levels: int,
        reference: Mapping[str, Any],
        sampler: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Everything two scores must share to stand in one column.

        `name` is left out: it changes no score. `levels` are the grey levels that samples are rounded to. `sampler` is
        what all models were made to draw with; None says that each drew with its own, as it has its own architecture:
        tables exist to compare models with their samplers, and each result carries its sampler and the evaluations it
        took.
        """
        return {
            "version": VERSION,
            "samples": self.samples,
            "seeds": list(range(self.repeats)),
            "labels": "index modulo classes",
            "weights": self.weights,
            "sampler": dict(sampler) if sampler is not None else "the model's own",
            "rounding": self.rounding,
            "levels": levels,
            "is": {"splits": self.is_splits, "shuffle": self.is_shuffle},
            "kid": {"subsets": self.kid_subsets, "subset_size": self.kid_subset_size},
            "neighbours": self.neighbours,
            "reference": dict(reference),
            "extractor": extractor.identity(),
        }


def short_hash(identity: Mapping[str, Any]) -> str:
    """First 10 hex digits of the sha256 of the canonical JSON (sorted keys, no spaces)."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]
