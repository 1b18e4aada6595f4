"""Whether two rows can be told apart, by which test."""

from __future__ import annotations

from dataclasses import dataclass

from genbench.benchmark.rows import Row, freedom
from genbench.benchmark.statistics import welch

ALPHA = 0.05

TRAININGS = "Welch's t-test over training seeds"
SAMPLES = "a bootstrap z-test"
MIXED = "Welch's t-test, with resampling errors where there is one training seed"


@dataclass(frozen=True)
class Comparison:
    """The two-sided p-value that two rows' scores are equal in expectation, and the name of its test."""

    p: float
    test: str

    @property
    def distinguishable(self) -> bool:
        return self.p < ALPHA


def compare(a: Row, b: Row, key: str) -> Comparison | None:
    """The test of two rows' scores of one key; None where a row has no standard error.

    Two training seeds or more each: Welch's t-test over the seeds' means. One each: a z-test of the standard errors
    by resampling the samples, which covers their drawing and not the training. One of each: Welch's with both.
    """
    mine, theirs = _estimate(a, key), _estimate(b, key)
    if mine is None or theirs is None:
        return None
    trained = [row["spread"] == "training seeds" for row in (a, b)]
    test = TRAININGS if all(trained) else MIXED if any(trained) else SAMPLES
    return Comparison(welch(*mine, *theirs, freedom(a), freedom(b)), test)


def _estimate(row: Row, key: str) -> tuple[float, float] | None:
    """The mean and its standard error."""
    summary = row["scores"].get(key)
    if summary is None or summary["mean"] is None or summary["error"] is None:
        return None
    return summary["mean"], summary["error"]
