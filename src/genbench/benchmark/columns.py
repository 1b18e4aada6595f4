"""The columns of the table: which number, how it reads, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from genbench.benchmark.rows import Row, deviation, is_control, is_real, score
from genbench.benchmark.statistics import finite

MISSING = "\N{EN DASH}"

Better = Literal["low", "high", "zero", "real"]
"""The better end of a column: the lowest, the highest, the nearest to 0, or the nearest to the control `real`."""

ARROWS = {"low": " \N{DOWNWARDS ARROW}", "high": " \N{UPWARDS ARROW}"}
ARROWS |= {"zero": " \N{RIGHTWARDS ARROW}0", "real": " \N{RIGHTWARDS ARROW}real"}


@dataclass(frozen=True)
class Column:
    """A column: its title, a row's text, its number if it has one, and, where rows are ranked by it, the better end."""

    title: str
    text: Callable[[Row], str]
    value: Callable[[Row], float | None] | None = None
    better: Better | None = None

    @property
    def numeric(self) -> bool:
        """Whether the column holds numbers, which are aligned on the right."""
        return self.value is not None

    def best(self, rows: Sequence[Row]) -> float | None:
        """The best value any model has; None where there are not two models to compare."""
        if self.title.startswith("bits/dim") and len({r["likelihood"] for r in rows if r["likelihood"]}) > 1:
            return None  # a bound and an exact likelihood do not rank models
        values = [v for row in rows if not is_control(row) and (v := self.number(row)) is not None]
        if len(values) < 2 or self.better is None:
            return None
        if self.better == "low":
            return min(values)
        if self.better == "high":
            return max(values)
        target = 0.0 if self.better == "zero" else next((self.number(row) for row in rows if is_real(row)), None)
        return None if target is None else min(values, key=lambda value: abs(value - target))

    def is_best(self, row: Row, best: float | None) -> bool:
        """Whether the row is a model that has the column's best value."""
        return best is not None and not is_control(row) and self.number(row) == best

    def number(self, row: Row) -> float | None:
        """The row's finite number, or None."""
        return finite(self.value(row)) if self.value else None


def distance_name(features: str | None) -> str:
    """Honest name of the Frechet distance: FID over the standard Inception only."""
    return "FID" if features == "inception" else f"FD ({features or 'no features'})"


def score_name(features: str | None) -> str:
    """Honest name of the inception score, which over another classifier is not Inception's."""
    return "IS" if features == "inception" else f"IS ({features or 'no features'})"


def columns(features: str | None) -> list[Column]:
    """The table's columns, for rows judged over one feature extractor."""
    return [
        Column("family", lambda r: r["family"]),
        Column("model", lambda r: r["model"]),
        Column("seeds", lambda r: " ".join(map(str, r["seeds"])) or MISSING),
        Column(distance_name(features), lambda r: plus_minus(r["fd"], deviation(r, "fd")), lambda r: r["fd"], "low"),
        Column(score_name(features), lambda r: plus_minus(r["is"], deviation(r, "is")), lambda r: r["is"], "high"),
        Column("accuracy", lambda r: percent(r["accuracy"]), lambda r: r["accuracy"], "high"),
        Column("bits/dim", bits, lambda r: r["bits_per_dim"], "low"),
        Column("params", lambda r: count(r["params"]), lambda r: r["params"], "low"),
        Column("training", lambda r: duration(r["train_seconds"]), lambda r: r["train_seconds"], "low"),
        Column("images/s", lambda r: count(r["images_per_second"]), lambda r: r["images_per_second"], "high"),
        Column(
            "sampling/1k",
            lambda r: duration(r["sample_seconds_per_1k"]),
            lambda r: r["sample_seconds_per_1k"],
            "low",
        ),
        Column("NFE", lambda r: count(r["nfe"]), lambda r: r["nfe"], "low"),
    ]


def decimals(value: float, significant: int = 3) -> int:
    """Digits after the point that show a value to so many significant ones, at most four."""
    if value == 0:
        return 0
    return min(4, max(0, significant - 1 - math.floor(math.log10(abs(value)))))


def number(value: float | None) -> str:
    """A value to three significant digits."""
    return MISSING if value is None else f"{value:,.{decimals(value)}f}"


def plus_minus(value: float | None, std: float | None) -> str:
    """`12.3 ± 0.4`: as many decimals as show three digits of the value and one of its std."""
    if value is None:
        return MISSING
    if std is None:
        return number(value)
    places = max(decimals(value), decimals(std, 1))
    return f"{value:,.{places}f} ± {std:,.{places}f}"


def p_value(p: float) -> str:
    """A p-value as `p = 0.031`, to two significant digits and no further than `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.{2 if p >= 0.1 else 3}f}"


def percent(fraction: float | None) -> str:
    """A fraction as `97.3 %`."""
    return MISSING if fraction is None else f"{100 * fraction:.1f} %"


def count(value: float | None) -> str:
    """A count as `640`, `12.3 k` or `1.20 M`."""
    if value is None:
        return MISSING
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scaled = value / (1e3 if unit == "k" else limit)
            return f"{scaled:.{decimals(scaled)}f} {unit}"
    return f"{value:,.0f}" if value == round(value) else number(value)


def duration(seconds: float | None) -> str:
    """Seconds as `4.20 s`, `12.3 min` or `3.40 h`."""
    if seconds is None:
        return MISSING
    for limit, size, unit in ((7200, 3600, "h"), (600, 60, "min")):
        if seconds >= limit:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} s"


def bits(row: Row) -> str:
    """Bits per dimension with their kind, `1.23 (elbo)`."""
    if row["bits_per_dim"] is None:
        return MISSING
    return f"{number(row['bits_per_dim'])} ({row['likelihood'] or 'kind unknown'})"


def with_deviation(row: Row, key: str, scale: float = 1.0) -> str:
    """A score of a row, times `scale`, with its ±."""
    value, std = score(row, key), deviation(row, key)
    return plus_minus(None if value is None else scale * value, None if std is None else scale * std)


def why_not(row: Row, length: int = 90) -> str:
    """What a row without scores says in their place, cut to fit a table."""
    line = (row["error"] or row["status"]).strip().splitlines()[0]
    line = line if len(line) <= length else line[: length - 1].rstrip() + "…"
    return f"{'failed' if row['status'] == 'failed' else 'not judged'}: {line}"
