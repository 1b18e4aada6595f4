"""`genbench report`: the table and the page from run folders alone."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
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


def test_samples_of_others_are_rows_beside_the_runs(copy: Path, whole: Path, tmp_path: Path) -> None:
    kept = next((copy / "cells" / "one-s1" / "results").glob("*.json"))
    result = json.loads(kept.read_text()) | {"name": "theirs", "source": "/data/theirs.zip", "data": "digits"}
    entry = copy / "external" / "theirs" / kept.name
    entry.parent.mkdir(parents=True)
    entry.write_text(json.dumps(result))
    command("report", f"runs={copy}")
    theirs, one = rows_of(copy)["theirs"], rows_of(whole)["one"]
    assert (theirs["family"], theirs["source"], theirs["run"]) == ("external", "/data/theirs.zip", None)
    assert (theirs["protocol"], theirs["fd"]) == (one["protocol"], pytest.approx(result["fd"]))
    assert (theirs["params"], theirs["train_seconds"]) == (None, None)

    # a folder of such results alone has a report of its own; two unlike results of one name have none
    alone = tmp_path / "alone"
    shutil.copytree(copy / "external", alone / "external")
    command("report", f"runs={alone}")
    assert [row["model"] for row in read_leaderboard(alone)] == ["theirs"]
    (alone / "external" / "theirs" / kept.name).write_text(json.dumps(result | {"source": "/elsewhere"}))
    with pytest.raises(RunError, match="differ, but are both named theirs"):
        command("report", f"runs=[{copy},{alone}]", f"out={tmp_path / 'both'}")
    entry.write_text(json.dumps({"name": "theirs"}))
    with pytest.raises(RunError, match="needs name, data and protocol"):
        command("report", f"runs={copy}")


def test_a_run_without_a_judgement_is_not_called_failed(copy: Path) -> None:
    shutil.rmtree(copy / "cells" / "one-s1" / "results")
    two = copy / "cells" / "two-s1" / "results"
    (two / "ffff.failed.json").write_text(json.dumps({"error": "out of memory"}))
    command("report", f"runs={copy}")
    told = {(row["model"], row["status"]): row for row in read_leaderboard(copy)}
    assert told["one", "unjudged"]["seeds"] == [1]
    assert told["one", "ok"]["seeds"] == [2]
    assert told["two", "ok"]["seeds"] == [1, 2]
    assert told["two", "failed"]["error"] == "judging under protocol ffff: out of memory"
    assert "not judged" in (copy / "leaderboard.md").read_text()


def test_neighbours_of_the_judgement_and_real_images_of_the_data_are_shown(copy: Path, tmp_path: Path) -> None:
    run = copy / "cells" / "one-s1"
    protocol = next((run / "results").glob("*.json")).stem
    for sheet in copy.rglob("*.neighbours.png"):
        sheet.unlink()
    Image.new("RGB", (33, 12)).save(run / "results" / f"{protocol}.neighbours.png")
    command("report", f"runs={run}", f"out={tmp_path / 'one'}")
    page = (tmp_path / "one" / "report" / "index.html").read_text()
    assert page.count("each beside its nearest training image") == 1
    assert page.count('real images, one column per class"') == 1  # found beside the run's cells
