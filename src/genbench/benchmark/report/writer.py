"""The report: rows, samples and curves into one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from genbench import __version__
from genbench.benchmark.columns import Column, distance_name, why_not
from genbench.benchmark.report.articles import articles
from genbench.benchmark.report.figures import distance_curves, loss_panel, quality_cost
from genbench.benchmark.report.page import ModelPage, Sheet
from genbench.benchmark.report.palette import FAMILIES, OTHER, styles
from genbench.benchmark.rows import Row, is_control, normalised
from genbench.benchmark.tables import Table, flatten, split
from genbench.benchmark.verdict import verdict
from genbench.core.files import write_atomically

READING = {
    "fd": "Better is lower and further left; both axes are logarithmic.",
    "overall": "Better is higher and further left.",
}
"""How quality against cost is read, by the key of the score that decides."""
DASHED = {
    "fd": " Dashed: real images and noise judged like samples.",
    "overall": " Dashed: real images, looking up the nearest training caption, and chance, judged like samples.",
}
"""What its lines are, where controls were judged."""


def write_report(
    folder: Path,
    title: str,
    rows: Sequence[Row],
    models: Sequence[ModelPage],
    real: Mapping[str, Sheet],
    about: Mapping[str, Any],
) -> Path:
    """Writes `folder/report/index.html` and returns its path.

    `real` are images to show beside the samples, by the name of their data. `about` says how the numbers came to
    be: each value a dict, a list of commands or a plain text, under its heading.

    Raises:
        RunError: the page cannot be written.
    """
    pages = [replace(page, row=normalised(page.row)) for page in models if not is_control(page.row)]
    drawn = list(zip(pages, styles([page.row for page in pages]), strict=True))
    tables = split(rows)
    content = _template().render(
        title=title,
        version=__version__,
        legend=_legend(rows),
        tables=[_table(table) for table in tables],
        models=articles(pages, real),
        losses=_losses(drawn),
        comparisons=[_comparison(table, drawn, f"t{i}") for i, table in enumerate(tables)],
        protocols=[_protocol(table) for table in tables if table.scored],
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
    return {
        "title": table.title,
        "panel_title": table.panel_title,
        "verdict": verdict(table),
        "differs": table.differs,
        "notes": table.notes,
        "main": _grid(table.rows, table.columns),
        "panel": _grid(table.scored, table.panel) if table.panel else None,
    }


def _grid(rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, Any]:
    """Head and rows of a table: the texts before the first number, then the numbers, or why there are none."""
    bests = [column.best(rows) for column in columns]
    lines = []
    for row in rows:
        cells = [
            {"text": column.text(row), "numeric": column.numeric, "best": column.is_best(row, best)}
            for column, best in zip(columns, bests, strict=True)
        ]
        lines.append(
            {
                "colour": FAMILIES.get(row["family"], OTHER).colour,
                "control": is_control(row),
                "failed": row["status"] == "failed",
                "error": None if row["status"] == "ok" else why_not(row),
                "names": [cell for cell in cells if not cell["numeric"]],
                "numbers": [cell for cell in cells if cell["numeric"]],
            }
        )
    return {"head": [{"title": column.title, "numeric": column.numeric} for column in columns], "rows": lines}


def _losses(drawn: Sequence[tuple[ModelPage, Any]]) -> list[tuple[str, Markup]]:
    once: dict[Any, tuple[ModelPage, Any]] = {}  # a run judged under several protocols was trained once
    for i, (page, style) in enumerate(drawn):
        once.setdefault(page.row["run"] or i, (page, style))
    panels = [(page.row["model"], loss_panel(page, style, f"loss{i}")) for i, (page, style) in enumerate(once.values())]
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
        "reading": READING[table.deciding.key] + (DASHED[table.deciding.key] if table.controls else ""),
    }


def _protocol(table: Table) -> dict[str, Any]:
    fields = flatten(next((found for row in table.rows if (found := row["protocol_fields"])), {}))
    if "captions.test" in fields:
        fields.pop("labels", None)  # captioned data have none
    return {"title": table.title, "fields": fields}
