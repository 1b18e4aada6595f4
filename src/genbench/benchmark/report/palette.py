"""One colour, marker and dash per family, the same in every figure and legend.

Colours are those of Okabe and Ito (2008), which stay apart for colour-blind readers, and a violet; each has a contrast
of at least 3:1 on both the light and the dark page. Markers and dashes say the same without colour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from genbench.benchmark.rows import Row

INK = "#010203"
"""Stands for the page's text colour in figures; the SVG writer turns it into `currentColor`."""


@dataclass(frozen=True)
class Style:
    """How one model is drawn."""

    colour: str
    marker: str
    dash: str


FAMILIES = {
    "vae": Style("#009E73", "s", "--"),
    "gan": Style("#D55E00", "^", "-."),
    "autoregressive": Style("#0077BD", "D", ":"),
    "diffusion": Style("#B8689A", "o", "-"),
    "text-to-image": Style("#8672C4", "P", "-"),
    "control": Style("#7A7A7A", "", "--"),
}
OTHER = Style("#8A7A2E", "P", "-")
MARKERS = ("v", "X", "<", "h", ">", "p")


def styles(rows: list[Row]) -> list[Style]:
    """A style per row: the family's, with another marker for each further model of it."""
    models: dict[str, list[str]] = {}
    result = []
    for row in rows:
        style, seen = FAMILIES.get(row["family"], OTHER), models.setdefault(row["family"], [])
        if row["model"] not in seen:
            seen.append(row["model"])
        nth = seen.index(row["model"])
        result.append(style if nth == 0 else replace(style, marker=MARKERS[(nth - 1) % len(MARKERS)]))
    return result
