"""Matplotlib figures as SVG that lives inside a page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genbench.benchmark.report.palette import INK

LOOK: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.18,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), INK
    ),
}


@contextmanager
def axes(width: float = 4.5, height: float = 3.0) -> Iterator[tuple[Figure, Axes]]:
    """A figure of one pair of axes in the report's look; in inches, drawn half as large again on a wide screen."""
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def to_svg(figure: Figure, name: str, alt: str) -> str:
    """The figure as an inline SVG element of its container's width, named and described for screen readers.

    Ids are prefixed with `name`, since all figures of a page share one namespace; the same figure gives the same
    text. Text takes the page's colour, so one drawing serves light and dark.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({**LOOK, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    view_box = re.search(r'viewBox="([^"]*)"', text)
    assert view_box is not None
    body = text[text.index(">") + 1 :].strip()
    body = body.replace("xlink:href", "href").replace(INK, "currentColor")
    body = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", body)
    return f'<svg viewBox="{view_box[1]}" role="img" aria-label="{escape(alt)}">{body}'
