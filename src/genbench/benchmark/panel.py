"""The quality panel: every score beyond the table's own, and which end of each is the better one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from genbench.benchmark.columns import ARROWS, Better, Column, with_deviation
from genbench.benchmark.memorisation import copying
from genbench.benchmark.rows import Row, is_real, score
from genbench.metrics.checker import DETAILS

IN_TABLE: dict[str, Better] = {
    "fd": "low",
    "is": "high",
    "accuracy": "high",
    "overall": "high",
    "overall_held_out": "high",
}
"""Scores that the main table shows, with their better ends."""

PANEL: dict[str, tuple[str, Better]] = {
    "fd_infinity": ("FD∞", "low"),
    "kid": ("KD", "low"),
    "precision": ("precision", "high"),
    "recall": ("recall", "high"),
    "density": ("density", "high"),
    "coverage": ("coverage", "high"),
    "cmmd": ("RBF distance", "low"),
    "fld": ("FLD", "low"),
    "fld_gap": ("FLD gap", "zero"),
    "ct": ("C_T", "zero"),
    "auth": ("authentic", "real"),
    "lpips_diversity": ("LPIPS diversity", "real"),
    "cas": ("CAS", "high"),
    "clip_score": ("CLIPScore", "high"),
    "overall": ("as captioned", "high"),
    "overall_held_out": ("held out", "high"),
    "single_object": ("single object", "high"),
    "two_objects": ("two objects", "high"),
    "counting": ("counting", "high"),
    "colour": ("colour", "high"),
    "position": ("position", "high"),
    "attribute_binding": ("binding", "high"),
    "cannot_judge": ("not judged", "zero"),
}
"""Title and better end of each known score, in the order they are shown.

Noise is as authentic and as diverse as images can be, so for these two more is not better: what real images have is.
"""

OWN_NAMES = {"inception": {"fd_infinity": "FID∞", "kid": "KID x 1000"}, "clip": {"cmmd": "CMMD"}}
"""What extrapolated and kernel distances are called over the extractors they were published with, and only there."""


def panel(rows: Sequence[Row], features: str | None) -> list[Column]:
    """Family, model and a column per further score that any of the rows has; empty where none has one."""
    present = {key for row in rows for key in row["scores"] if score(row, key) is not None} - {*IN_TABLE, *DETAILS}
    keys = [*(key for key in PANEL if key in present), *sorted(present - PANEL.keys())]
    if not keys:
        return []
    names = [Column("family", lambda row: row["family"]), Column("model", partial(_name, rows))]
    return [*names, *(score_column(key, features) for key in keys)]


def better_end(key: str) -> Better | None:
    """The better end of a score; None where it is not known."""
    known: dict[str, Better] = {"bits_per_dim": "low", **{k: better for k, (_, better) in PANEL.items()}, **IN_TABLE}
    return known.get(key)


def panel_title(key: str, features: str | None) -> str:
    """What a score over these features may be called."""
    name = PANEL[key][0] if key in PANEL else key
    return OWN_NAMES.get(features or "", {}).get(key, name)


def panel_scale(key: str, features: str | None) -> float:
    """What a score is multiplied by where it is shown: over Inception a kernel distance is small."""
    return 1000 if key == "kid" and features == "inception" else 1


def score_column(key: str, features: str | None) -> Column:
    """The column of a score, under its title and with its ±."""
    better = PANEL[key][1] if key in PANEL else None
    text: Callable[[Row], str] = partial(with_deviation, key=key, scale=panel_scale(key, features))
    return Column(
        panel_title(key, features) + (ARROWS[better] if better else ""), text, partial(score, key=key), better
    )


def _name(rows: Sequence[Row], row: Row) -> str:
    real = next(filter(is_real, rows), None)
    return f"{row['model']} (copies)" if copying(row, real) else row["model"]
