import json
import math
from pathlib import Path

import pytest

from genbench.core import RunError
from genbench.training.jsonl import JsonlLogger, read_log


def test_records_come_back_in_order(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path / "log.jsonl")
    logger.log_metrics({"loss": 1.5}, step=64)
    logger.log_metrics({"loss": 1.25, "lr": 0.1}, step=128)
    records = read_log(logger.path)
    assert [(r["images"], r["loss"]) for r in records] == [(64, 1.5), (128, 1.25)]


def test_a_resume_supersedes_what_was_recorded_beyond_it(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path / "log.jsonl")
    for images in (100, 200, 300):
        logger.log_metrics({"loss": float(images)}, step=images)
    logger.append({"event": "resume", "images": 200})
    logger.log_metrics({"loss": -300.0}, step=300)
    assert [r["loss"] for r in read_log(logger.path)] == [100.0, 200.0, -300.0]
    assert len(logger.path.read_text().splitlines()) == 5  # nothing was rewritten


def test_half_a_line_left_by_a_crash_harms_neither_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    JsonlLogger(path).log_metrics({"loss": 1.0}, step=1)
    with path.open("a") as file:
        file.write('{"images": 2, "lo')
    JsonlLogger(path).log_metrics({"loss": 3.0}, step=3)
    assert [r["images"] for r in read_log(path)] == [1, 3]


def test_a_number_that_is_none_is_null(tmp_path: Path) -> None:
    logger = JsonlLogger(tmp_path / "log.jsonl")
    logger.log_metrics({"loss": math.nan}, step=1)
    line = logger.path.read_text()
    assert json.loads(line)["loss"] is None
    assert "NaN" not in line


def test_an_unwritable_record_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"log\.jsonl"):
        JsonlLogger(tmp_path / "absent" / "log.jsonl").log_metrics({"loss": 1.0}, step=1)
