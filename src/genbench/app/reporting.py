"""The table and the report of runs that are judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genbench.app.collect import about, all_rows, find_runs, pages, real_images
from genbench.benchmark.leaderboard import print_table, write_leaderboard
from genbench.benchmark.report import write_report


def report(roots: Sequence[str | Path], out: Path, title: str) -> None:
    """Prints the table and writes leaderboard.json, .csv, .md and report/index.html into `out`."""
    rows = all_rows(roots)
    write_leaderboard(out, rows)
    runs = find_runs(roots)
    page = write_report(out, title, rows, pages(rows), real_images(runs), about(runs))
    print_table(rows)
    print(f"{out / 'leaderboard.json'}, .csv, .md; {page}")
