"""The quality panel: every score beyond the table's own, and which end of each is the better one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from genbench.benchmark.columns import ARROWS, Better, Column, with_deviation
from genbench.benchmark.memorisation import copying
from genbench.benchmark.rows import Row, is_real, score

IN_TABLE = ("fd", "is", "accuracy")
"""Scores that the main table shows."""

PANEL: dict[str, tuple[str, Better | None, float]] = {
    "fd_infinity": ("FD∞", "low", 1),
    "kid": ("KD x 1000", "low", 1000),
    "precision": ("precision", "high", 1),
    "recall": ("recall", "high", 1),
    "density": ("density", "high", 1),
    "coverage": ("coverage", "high", 1),
    "cmmd": ("CMMD", "low", 1),
    "fld": ("FLD", "low", 1),
    "fld_gap": ("FLD gap", "zero", 1),
    "ct": ("C_T", "zero", 1),
    "auth": ("authentic", "real", 1),
    "lpips_diversity": ("LPIPS diversity", "real", 1),
    "cas": ("CAS", "high", 1),
}
"""Title, better end and factor of each known score, in the order they are shown.

Noise is as authentic and as diverse as images can be, so for these two more is not better: what real images have is.
"""

INCEPTION = {"fd_infinity": "FID∞", "kid": "KID x 1000"}
"""What the kernel and extrapolated distances are called over the standard Inception, and only there."""


def panel(rows: Sequence[Row], features: str | None) -> list[Column]:
    """Family, model and a column per further score that any of the rows has; empty where none has one."""
    present = {key for row in rows for key in row["scores"] if score(row, key) is not None} - set(IN_TABLE)
    keys = [*(key for key in PANEL if key in present), *sorted(present - PANEL.keys())]
    if not keys:
        return []
    names = [Column("family", lambda row: row["family"]), Column("model", partial(_name, rows))]
    return [*names, *(_column(key, features) for key in keys)]


def _column(key: str, features: str | None) -> Column:
    title, better, scale = PANEL.get(key, (key, None, 1))
    if features == "inception":
        title = INCEPTION.get(key, title)
    text: Callable[[Row], str] = partial(with_deviation, key=key, scale=scale)
    return Column(title + (ARROWS[better] if better else ""), text, partial(score, key=key), better)


def _name(rows: Sequence[Row], row: Row) -> str:
    real = next(filter(is_real, rows), None)
    return f"{row['model']} (copies)" if copying(row, real) else row["model"]
