"""The values that scores can take, which their intervals do not leave."""

import math
from collections.abc import Mapping

from genbench.metrics.checker import KEYS

RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("precision", "recall", "coverage", "accuracy", "auth", "cas", *KEYS, "cannot_judge"), (0.0, 1.0)),
    **dict.fromkeys(("fd", "cmmd", "density", "lpips_diversity"), (0.0, math.inf)),
    "clip_score": (0.0, 100.0),
    "is": (1.0, math.inf),
}
"""By key, as far as there are bounds: `kid` and `fd_infinity` are unbiased, and may fall below 0."""


def within_range(key: str, low: float, high: float) -> list[float]:
    """The part of an interval [low, high] about score `key` that the score can reach."""
    least, most = RANGES.get(key, (-math.inf, math.inf))
    return [max(low, least), min(high, most)]
