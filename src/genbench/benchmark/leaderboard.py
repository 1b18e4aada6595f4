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

from genbench.benchmark.columns import Column, short_error
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
    bests = [column.best(table.rows) for column in table.columns]
    lines = [f"### {_cell(table.title)}", ""]
    if table.differs:
        lines += [_cell(table.differs), ""]
    lines += [
        _line([column.title for column in table.columns]),
        _line(["---:" if column.numeric else "---" for column in table.columns]),
    ]
    for row in table.rows:
        texts = [
            f"**{column.text(row)}**" if column.is_best(row, best) else column.text(row)
            for column, best in zip(table.columns, bests, strict=True)
        ]
        if row["status"] == "failed":
            texts[3] = f"failed: {short_error(row)}"
        lines.append(_line([_cell(text) for text in texts]))
    return "\n".join([*lines, "", table.footnote, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def print_table(rows: Sequence[Row], console: Console | None = None) -> None:
    """Prints one table per protocol: the best of each column bold, controls dimmed at the end.

    A terminal too narrow for it gets the same table in two parts, quality and cost.
    """
    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=max(console.width, WIDE))
    for table in split(rows):
        console.print(escape(table.title), style="italic")
        whole = _rich_table(table, table.columns)
        if Measurement.get(console, console.options.update(width=UNBOUNDED), whole).maximum <= console.width:
            console.print(whole)
        else:
            names, quality, cost = table.columns[:2], table.columns[2:7], table.columns[7:]
            console.print(_rich_table(table, [names[1], *quality]))
            console.print(_rich_table(table, [*names, *cost]))
        if table.differs:
            console.print(escape(table.differs), style="yellow", highlight=False)
        console.print(table.footnote, style="dim", highlight=False)
        for row in table.failed:
            failure = f"{row['model']} failed: {short_error(row, 400)}"
            console.print(escape(failure), style="red", highlight=False)


def _rich_table(table: Table, columns: Sequence[Column]) -> RichTable:
    rich = RichTable(box=box.SIMPLE_HEAD, padding=0)
    bests = [column.best(table.rows) for column in columns]
    for column in columns:
        rich.add_column(escape(column.title), justify="right" if column.numeric else "left", no_wrap=True)
    for row in table.rows:
        texts = [
            f"[bold]{escape(column.text(row))}[/bold]" if column.is_best(row, best) else escape(column.text(row))
            for column, best in zip(columns, bests, strict=True)
        ]
        if row["status"] == "failed":
            first = next(i for i, column in enumerate(columns) if column.numeric)
            texts[first] = "[red]failed[/red]"
        rich.add_row(*texts, style="dim" if is_control(row) else None)
    return rich
