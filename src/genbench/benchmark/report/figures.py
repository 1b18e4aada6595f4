"""The report's figures: losses, distance while training, quality against cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from genbench.benchmark.columns import distance_name, number
from genbench.benchmark.report.curves import losses, probes, series, smooth, thin
from genbench.benchmark.report.labels import name_points
from genbench.benchmark.report.page import ModelPage
from genbench.benchmark.report.palette import FAMILIES, INK, Style
from genbench.benchmark.report.svg import axes, to_svg
from genbench.benchmark.rows import Row, deviation
from genbench.benchmark.tables import Table

Styled = Sequence[tuple[ModelPage, Style]]

BOUNDS = {"fd": ("real", "noise"), "overall": ("real", "retrieval", "chance")}
"""Controls drawn as lines: the others lie between, and their names would cover each other."""

STEPS = (
    (300, (1.0,)),
    (8, (1.0, 2.0, 5.0)),
    (2.5, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)),
    (0, (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)),
)
"""Labels within a decade of a logarithmic axis whose ends are more than so many times apart."""


def loss_panel(page: ModelPage, style: Style, name: str) -> str | None:
    """The losses of one model against images seen, faint as logged and smoothed; None without a record."""
    curves = [(loss, *series(page.curve, "images", loss)) for loss in losses(page.curve)]
    curves = [curve for curve in curves if len(curve[1]) > 1]
    if not curves:
        return None
    with axes(2.9, 2.1) as (figure, ax):
        for (loss, images, values), dash in zip(curves, ("-", ":", "--", "-."), strict=False):
            ax.plot(*thin(images, values), color=style.colour, linewidth=0.6, alpha=0.35)
            label = loss.removesuffix("_loss")
            ax.plot(*thin(images, smooth(values)), color=style.colour, linestyle=dash, label=label)
        ax.set_xlabel("images seen")
        ax.set_ylabel("loss")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        if len(curves) > 1:
            figure.legend(loc="outside upper left", ncols=len(curves))
        ends = ", ".join(f"{loss} ends at {number(float(values[-1]))}" for loss, _, values in curves)
        return to_svg(figure, name, f"Training loss of {page.row['model']} against images seen: {ends}")


def distance_curves(pages: Styled, table: Table, over: str, name: str) -> str | None:
    """The probes' Frechet distance against `images` or `seconds` of training, all models; None without probes."""
    drawn: list[tuple[ModelPage, Style, Any, Any]] = []
    for page, style in pages:
        images, seconds, fd = probes(page.curve)
        x = images if over == "images" else seconds
        good = (x > 0) & (fd > 0)
        if good.any():
            drawn.append((page, style, x[good], fd[good]))
    if not drawn:
        return None
    label = {"images": "images seen", "seconds": "training seconds"}[over]
    with axes() as (figure, ax):
        for page, style, x, fd in drawn:
            ax.plot(x, fd, style.dash, color=style.colour, marker=style.marker, ms=4, label=page.row["model"])
        ax.set_yscale("log")
        ax.set_xlabel(label)
        ax.set_ylabel(distance_name(table.features))
        if over == "images":
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        _plain_log(ax, "y")
        longest = max(len(page.row["model"]) for page, *_ in drawn)
        figure.legend(loc="outside upper left", ncols=max(1, min(4, 64 // (longest + 9))), handlelength=3)
        ends = ", ".join(f"{page.row['model']} ends at {number(float(fd[-1]))}" for page, _, _, fd in drawn)
        return to_svg(figure, name, f"{distance_name(table.features)} of probes against {label}: {ends}")


def quality_cost(pages: Styled, table: Table, cost: Callable[[Row], float | None], label: str, name: str) -> str | None:
    """The deciding score against a cost, controls as dashed lines; None if nothing has both.

    Costs are logarithmic, and so is a distance; a share is drawn from 0 to 1.
    """
    score, title = table.deciding, table.deciding.name(table.features)
    share = score.key == "overall"
    points = [(page.row, style, cost(page.row), score.of(page.row)) for page, style in pages]
    known = [(row, style, x, y) for row, style, x, y in points if x and y is not None and (share or y > 0)]
    if not known:
        return None
    with axes() as (figure, ax):
        for row, style, x, y in known:
            half = deviation(row, score.key) or 0.0
            bar = [[min(half, y if share else 0.9 * y)], [half]]
            ax.errorbar(x, y, bar, color=style.colour, marker=style.marker, ms=7, capsize=3, linestyle="none")
        ax.set(xscale="log", yscale="linear" if share else "log", xlabel=label, ylabel=title)
        ax.margins(x=0.22, y=0.18)
        if share:
            ax.set_ylim(-0.05, 1.1)
        for model in BOUNDS[score.key]:
            value = score.of(table.controls[model]) if model in table.controls else None
            if value is not None and (share or value > 0):
                _control_line(ax, model, value)
        _plain_log(ax, "x")
        if not share:
            _plain_log(ax, "y")
        name_points(figure, ax, [(row["model"], x, y) for row, _, x, y in known])
        told = ", ".join(f"{row['model']} {number(y)} at {number(x)}" for row, _, x, y in known)
        return to_svg(figure, name, f"{title} against {label}: {told}")


def _control_line(ax: Axes, model: str, value: float) -> None:
    ax.axhline(value, color=FAMILIES["control"].colour, linestyle="--", linewidth=1)
    ax.annotate(
        f"{model} {number(value)}",
        (0.995, value),
        (0, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        color=INK,
        alpha=0.75,
    )


def _plain_log(ax: Axes, which: str) -> None:
    """Labels a log axis with plain numbers, and within a decade too where it spans few."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=next(steps for most, steps in STEPS if high / low > most)))
    axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())
