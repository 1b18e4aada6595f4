"""`genbench report`: the table and the page from run folders alone."""

import shutil
from pathlib import Path

import pytest
from tiny_benchmarks import rows_of, without_paths
from tiny_runs import command

from genbench.benchmark.leaderboard import read_leaderboard
from genbench.core import ConfigError, RunError


def test_a_report_of_the_folder_has_the_same_rows_wherever_it_lies(whole: Path, copy: Path, tmp_path: Path) -> None:
    for name in ("leaderboard.json", "report"):
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    command("report", f"runs={copy}", f"out={tmp_path / 'again'}")
    assert without_paths(tmp_path / "again") == without_paths(whole)
    assert all(run.startswith(str(copy)) for row in read_leaderboard(tmp_path / "again") for run in row["runs"])
    assert "samples of one" in (tmp_path / "again" / "report" / "index.html").read_text()
    assert not (copy / "leaderboard.json").exists()


def test_a_report_without_out_lies_in_the_benchmarks_folder(copy: Path, whole: Path) -> None:
    (copy / "leaderboard.json").unlink()
    command("report", f"runs={copy}")
    assert without_paths(copy) == without_paths(whole)


def test_a_report_of_chosen_runs_has_their_rows_only(whole: Path, tmp_path: Path) -> None:
    chosen = [whole / "cells" / cell for cell in ("one-s1", "one-s2")]
    command("report", f"runs=[{chosen[0]},{chosen[1]}]", f"out={tmp_path / 'two'}")
    (row,) = read_leaderboard(tmp_path / "two")
    assert row == rows_of(whole)["one"]
    # the same run named twice counts once
    command("report", f"runs=[{whole},{chosen[1]}]", f"out={tmp_path / 'twice'}")
    assert read_leaderboard(tmp_path / "twice") == read_leaderboard(whole)


def test_what_a_crash_leaves_of_an_unmade_run_is_no_run(copy: Path, tmp_path: Path) -> None:
    shutil.copytree(copy / "cells" / "one-s1", copy / "cells" / ".one-s3.abcd")
    before = without_paths(copy)
    command("report", f"runs={copy}")
    assert without_paths(copy) == before


def test_reports_that_make_no_sense_are_refused(whole: Path, tmp_path: Path) -> None:
    for runs, message in (
        ("[]", "names no folder"),
        (f"[{whole},{whole}]", "give out=FOLDER"),
    ):
        with pytest.raises(ConfigError, match=message):
            command("report", f"runs={runs}")
    for missing in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RunError, match="holds no run folder"):
            command("report", f"runs={missing}")
