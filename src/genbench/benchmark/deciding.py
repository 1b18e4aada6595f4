"""The score that decides a table: what rows are ranked by and the verdict compares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from genbench.benchmark.columns import distance_name, plus_minus
from genbench.benchmark.rows import Row, deviation, is_control
from genbench.benchmark.statistics import finite


@dataclass(frozen=True)
class Deciding:
    """A score by its key in rows, its better end, and its name in sentences over a feature extractor."""

    key: Literal["overall", "fd"]
    better: Literal["low", "high"]
    name: Callable[[str | None], str]

    def of(self, row: Row) -> float | None:
        """The row's finite score, or None."""
        return finite(cast(Mapping[str, Any], row)[self.key])

    def text(self, row: Row) -> str:
        """The row's score with its ±."""
        return plus_minus(self.of(row), deviation(row, self.key))

    def rank(self, row: Row) -> float:
        """Ascends from the best score to the worst; infinite without one."""
        value = self.of(row)
        return math.inf if value is None else value if self.better == "low" else -value


AS_CAPTIONED = Deciding("overall", "high", lambda features: "pictures as captioned")
DISTANCE = Deciding("fd", "low", distance_name)


def deciding(rows: Iterable[Row]) -> Deciding:
    """The pictures as captioned where any model has a share of them, else the Frechet distance."""
    captioned = any(AS_CAPTIONED.of(row) is not None for row in rows if not is_control(row))
    return AS_CAPTIONED if captioned else DISTANCE


def rank(row: Row) -> tuple[float, float]:
    """Ascends from the best row to the worst: by captions where it has any to show, then by distance."""
    return AS_CAPTIONED.rank(row), DISTANCE.rank(row)
