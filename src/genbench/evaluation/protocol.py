"""The protocol: every choice that moves a score, recorded and hashed with it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genbench.core import ConfigError
from genbench.features import FeatureExtractor


@dataclass(frozen=True)
class Protocol:
    """How many samples are drawn, how often, and against which split they are judged.

    Sampling seeds are 0 to `repeats`-1. Weights are the averaged ones, always.

    Raises:
        ConfigError: counts below what any metric can use.
    """

    name: str
    samples: int
    reference: Literal["train", "test"] = "test"
    repeats: int = 1
    is_splits: int = 10

    def __post_init__(self) -> None:
        for field, value, least in (
            ("samples", self.samples, 2),
            ("repeats", self.repeats, 1),
            ("is_splits", self.is_splits, 1),
        ):
            if value < least:
                raise ConfigError(f"protocol.{field} is {value}; expected at least {least}")

    def identity(self, extractor: FeatureExtractor, reference_sha256: str) -> dict[str, Any]:
        """Everything two scores must share to stand in one column.

        `name` is left out: it changes no score. The sampler and its number of evaluations are left out too:
        they are a model's own, as its architecture is, and a table exists to compare them; each row carries
        its NFE and its run's config instead.
        """
        return {
            "samples": self.samples,
            "seeds": list(range(self.repeats)),
            "labels": "index modulo classes",
            "weights": "ema",
            "rounding": "nearest",
            "is_splits": self.is_splits,
            "reference": {"split": self.reference, "sha256": reference_sha256},
            "extractor": extractor.identity(),
        }


def short_hash(identity: Mapping[str, Any]) -> str:
    """First 10 hex digits of the sha256 of the canonical JSON (sorted keys, no spaces)."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]
