"""The report: rows, samples and curves into one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from genbench import __version__
from genbench.benchmark.columns import count, distance_name, duration, percent, plus_minus, short_error
from genbench.benchmark.report.figures import distance_curves, loss_panel, quality_cost
from genbench.benchmark.report.grids import picture, rows_within
from genbench.benchmark.report.page import Images, Labels, ModelPage
from genbench.benchmark.report.palette import FAMILIES, OTHER, styles
from genbench.benchmark.rows import Row, is_control, normalised
from genbench.benchmark.tables import Table, flatten, split
from genbench.benchmark.verdict import verdict
from genbench.core.files import write_atomically

GRID_BUDGET = 1_800_000  # bytes of pixels; as base64 they keep the page under 3 MB even if nothing compresses


def write_report(
    folder: Path,
    title: str,
    rows: Sequence[Row],
    models: Sequence[ModelPage],
    real: Images,
    about: Mapping[str, Any],
    real_labels: Labels | None = None,
) -> Path:
    """Writes `folder/report/index.html` and returns its path.

    `real` are uint8 [K,H,W,C] images to show beside the samples, in columns by class where `real_labels` are
    given. `about` says how the numbers came to be: each value a dict, a list of commands or a plain text, under
    its heading.

    Raises:
        RunError: the page cannot be written.
    """
    pages = [replace(page, row=normalised(page.row)) for page in models if not is_control(page.row)]
    drawn = list(zip(pages, styles([page.row for page in pages]), strict=True))
    shapes = [shape for page in pages if len(page.samples) for shape in (page.samples.shape, real.shape)]
    sheet_rows = rows_within(GRID_BUDGET, shapes)
    tables = split(rows)
    content = _template().render(
        title=title,
        version=__version__,
        legend=_legend(rows),
        tables=[_table(table) for table in tables],
        models=[_model(page, sheet_rows) for page in pages],
        real=picture(real, real_labels, sheet_rows, "real images"),
        losses=_losses(drawn),
        comparisons=[_comparison(table, drawn, f"t{i}") for i, table in enumerate(tables)],
        protocols=[_protocol(table) for table in tables],
        about=about,
    )
    path = folder / "report" / "index.html"
    write_atomically(path, content.encode())
    return path


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("genbench.benchmark.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _legend(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Families in the order of the palette, with their colours."""
    present = {row["family"] for row in rows}
    known = [family for family in FAMILIES if family in present]
    return [(f, FAMILIES.get(f, OTHER).colour) for f in [*known, *sorted(present - FAMILIES.keys())]]


def _table(table: Table) -> dict[str, Any]:
    bests = [column.best(table.rows) for column in table.columns]
    lines = []
    for row in table.rows:
        cells = [
            {"text": column.text(row), "numeric": column.numeric, "best": column.is_best(row, best)}
            for column, best in zip(table.columns, bests, strict=True)
        ]
        lines.append(
            {
                "family": row["family"],
                "colour": FAMILIES.get(row["family"], OTHER).colour,
                "control": is_control(row),
                "error": short_error(row) if row["status"] == "failed" else None,
                "cells": cells,
            }
        )
    return {
        "title": table.title,
        "verdict": verdict(table),
        "differs": table.differs,
        "footnote": table.footnote,
        "head": [{"title": column.title, "numeric": column.numeric} for column in table.columns],
        "rows": lines,
    }


def _model(page: ModelPage, sheet_rows: int) -> dict[str, Any]:
    row = page.row
    facts = [
        (distance_name(row["features"]), plus_minus(row["fd"], row["fd_std"])),
        ("accuracy", percent(row["accuracy"])),
        ("parameters", count(row["params"])),
        ("training", duration(row["train_seconds"])),
        ("images seen", count(row["images"])),
        ("sampling, per 1,000 images", duration(row["sample_seconds_per_1k"])),
    ]
    return {
        "name": row["model"],
        "family": row["family"],
        "protocol": row["protocol"],
        "colour": FAMILIES.get(row["family"], OTHER).colour,
        "error": row["error"],
        "facts": [] if row["status"] == "failed" else facts,
        "runs": row["runs"],
        "samples": picture(page.samples, page.labels, sheet_rows, f"samples of {row['model']}"),
    }


def _losses(drawn: Sequence[tuple[ModelPage, Any]]) -> list[tuple[str, Markup]]:
    panels = [(page.row["model"], loss_panel(page, style, f"loss{i}")) for i, (page, style) in enumerate(drawn)]
    return [(name, Markup(svg)) for name, svg in panels if svg is not None]


def _comparison(table: Table, drawn: Sequence[tuple[ModelPage, Any]], name: str) -> dict[str, Any]:
    """The figures that share an axis, drawn from the models of one table only."""
    key = (table.data, table.features, table.protocol)
    pages = [(p, s) for p, s in drawn if (p.row["data"], p.row["features"], p.row["protocol"]) == key]
    curves = [distance_curves(pages, table, over, f"{name}{over}") for over in ("images", "seconds")]
    cost = [
        quality_cost(pages, table, lambda row: row["train_seconds"], "training seconds", f"{name}train"),
        quality_cost(
            pages,
            table,
            lambda row: row["sample_seconds_per_1k"],
            "sampling seconds per 1,000 images",
            f"{name}sample",
        ),
    ]
    return {
        "title": table.title,
        "distance": distance_name(table.features),
        "curves": [Markup(svg) for svg in curves if svg],
        "cost": [Markup(svg) for svg in cost if svg],
    }


def _protocol(table: Table) -> dict[str, Any]:
    fields = next((row["protocol_fields"] for row in table.rows if row["protocol_fields"]), None)
    return {"title": table.title, "fields": flatten(fields or {})}
