"""The leaderboard as files other tools read and as a table in the terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table as RichTable

from genbench.benchmark.columns import Column, why_not
from genbench.benchmark.rows import ROW_KEYS, Row, is_control, normalised
from genbench.benchmark.tables import Table, ranked, split
from genbench.core import RunError
from genbench.core.files import write_atomically

WIDE = 150  # a log file has no width of its own: enough for the table on single lines
UNBOUNDED = 10_000  # wider than any table: what asks a table for its natural width


def write_leaderboard(folder: Path, rows: Sequence[Row]) -> None:
    """Writes leaderboard.md, .csv and, last, .json, each whole or not at all.

    Raises:
        RunError: a file cannot be written.
    """
    records = ranked(map(normalised, rows))
    contents = {
        "leaderboard.md": to_markdown(rows),
        "leaderboard.csv": to_csv(records),
        "leaderboard.json": json.dumps(records, indent=2, allow_nan=False, ensure_ascii=False) + "\n",
    }
    for name, content in contents.items():
        write_atomically(folder / name, content.encode())


def read_leaderboard(path: Path) -> list[Row]:
    """Rows of a leaderboard.json, or of the one in a folder.

    Raises:
        RunError: there is none, or it is no list of rows.
    """
    path = path / "leaderboard.json" if path.is_dir() else path
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read the leaderboard {path}: {error}; make one with `genbench benchmark`") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RunError(f"{path} is no leaderboard: expected a list of rows")
    for row in rows:
        missing = [key for key in ROW_KEYS if key not in row]
        if missing:
            raise RunError(f"{path} is no leaderboard: a row lacks {', '.join(missing)}")
    return cast(list[Row], rows)


def to_csv(records: Sequence[Row]) -> str:
    """One line per row, null as an empty field, lists and dicts as JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ROW_KEYS)
    for record in records:
        values = dict(record)
        writer.writerow(
            json.dumps(value) if isinstance(value := values[key], (list, dict)) else value for key in ROW_KEYS
        )
    return text.getvalue()


def to_markdown(rows: Sequence[Row]) -> str:
    """The tables as they are printed, one per protocol."""
    return "\n".join(_markdown_table(table) for table in split(rows))


def _markdown_table(table: Table) -> str:
    lines = [f"### {_cell(table.title)}", ""]
    if table.differs:
        lines += [_cell(table.differs), ""]
    lines += _markdown_grid(table.rows, table.columns)
    if table.panel:
        lines += ["", f"#### {_cell(table.panel_title)}", "", *_markdown_grid(table.scored, table.panel)]
    return "\n".join([*lines, *(line for note in table.notes for line in ("", _cell(note))), ""])


def _markdown_grid(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    bests = [column.best(rows) for column in columns]
    lines = [
        _line([column.title for column in columns]),
        _line(["---:" if column.numeric else "---" for column in columns]),
    ]
    for row in rows:
        texts = [
            f"**{column.text(row)}**" if column.is_best(row, best) else column.text(row)
            for column, best in zip(columns, bests, strict=True)
        ]
        if row["status"] != "ok":
            texts[_first_number(columns)] = why_not(row)
        lines.append(_line([_cell(text) for text in texts]))
    return lines


def _first_number(columns: Sequence[Column]) -> int:
    return next(i for i, column in enumerate(columns) if column.numeric)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def print_table(rows: Sequence[Row], console: Console | None = None) -> None:
    """Prints one table per protocol, then its quality panel: the best of each column bold, controls dimmed at the end.

    A terminal too narrow for a table gets it in parts, each with the names of its models.
    """
    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=max(console.width, WIDE))
    for table in split(rows):
        console.print(escape(table.title), style="italic")
        _print_in_parts(console, table.rows, table.columns)
        if table.panel:
            console.print(escape(table.panel_title), style="italic")
            _print_in_parts(console, table.scored, table.panel)
        if table.differs:
            console.print(escape(table.differs), style="yellow", highlight=False)
        for note in table.notes:
            console.print(escape(note), style="dim", highlight=False)
        for row in [*table.failed, *table.unjudged]:
            console.print(escape(f"{row['model']} {why_not(row, 400)}"), style="red", highlight=False)


def _print_in_parts(console: Console, rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """The columns, as many side by side as fit; every further part starts with the models' names again."""
    names, part = columns[1], list(columns[:2])
    for column in columns[2:]:
        if _width(console, _rich_table(rows, [*part, column])) > console.width and len(part) > 1:
            console.print(_rich_table(rows, part))
            part = [names]
        part.append(column)
    console.print(_rich_table(rows, part))


def _width(console: Console, rich: RichTable) -> int:
    return Measurement.get(console, console.options.update(width=UNBOUNDED), rich).maximum


def _rich_table(rows: Sequence[Row], columns: Sequence[Column]) -> RichTable:
    rich = RichTable(box=box.SIMPLE_HEAD, padding=0)
    bests = [column.best(rows) for column in columns]
    for column in columns:
        rich.add_column(escape(column.title), justify="right" if column.numeric else "left", no_wrap=True)
    for row in rows:
        texts = [
            f"[bold]{escape(column.text(row))}[/bold]" if column.is_best(row, best) else escape(column.text(row))
            for column, best in zip(columns, bests, strict=True)
        ]
        if row["status"] != "ok" and any(column.numeric for column in columns):
            word = "[red]failed[/red]" if row["status"] == "failed" else "not judged"
            texts[_first_number(columns)] = word
        rich.add_row(*texts, style="dim" if is_control(row) else None)
    return rich
