"""The report's figures: losses, distance while training, distance against cost."""

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

BOUNDS = ("real", "noise")
"""Controls drawn as lines: the others lie between, and their names would cover each other."""


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
    """Frechet distance against a cost, both logarithmic, controls as dashed lines; None if nothing has both."""
    points = [(page.row, style, cost(page.row)) for page, style in pages]
    known = [(row, style, x) for row, style, x in points if x and (row["fd"] or 0) > 0]
    if not known:
        return None
    with axes() as (figure, ax):
        for row, style, x in known:
            assert row["fd"] is not None
            half = deviation(row, "fd") or 0.0
            bar = [[min(half, 0.9 * row["fd"])], [half]]
            ax.errorbar(x, row["fd"], bar, color=style.colour, marker=style.marker, ms=7, capsize=3, linestyle="none")
        ax.set(xscale="log", yscale="log", xlabel=label, ylabel=distance_name(table.features))
        ax.margins(x=0.22, y=0.18)
        for model in BOUNDS:
            if model in table.controls:
                _control_line(ax, model, table.controls[model]["fd"])
        _plain_log(ax, "x")
        _plain_log(ax, "y")
        name_points(figure, ax, [(row["model"], x, row["fd"]) for row, _, x in known if row["fd"]])
        told = ", ".join(f"{row['model']} {number(row['fd'])} at {number(x)}" for row, _, x in known)
        return to_svg(figure, name, f"{distance_name(table.features)} against {label}: {told}")


def _control_line(ax: Axes, model: str, fd: float | None) -> None:
    if not fd or fd <= 0:
        return
    ax.axhline(fd, color=FAMILIES["control"].colour, linestyle="--", linewidth=1)
    ax.annotate(
        f"{model} {number(fd)}",
        (0.995, fd),
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
    steps = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0) if high / low > 8 else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())
