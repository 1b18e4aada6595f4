"""The training record: an append-only file of JSON lines, the truth that every plot is drawn from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from genbench.core import RunError


class JsonlLogger(Logger):
    """Appends one line per record; nothing already written is ever touched.

    A resumed training appends `{"event": "resume", "images": n}`; `read_log` then drops what the interrupted
    attempt had recorded beyond n.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "jsonl"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: object, *args: object, **kwargs: object) -> None:
        """The run folder keeps the config; there is nothing to add."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.append({"images": step, **metrics})

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes one record with the wall-clock time, and flushes it.

        Raises:
            RunError: the file cannot be written, such as on a full disk.
        """
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        line = json.dumps({**finite, "time": round(time.time(), 3)}) + "\n"
        try:
            with self.path.open("a+b") as file:
                # a crash may have left half a line: end it, so that the new record stands alone
                if file.tell() and not _ends_with_newline(self.path):
                    file.write(b"\n")
                file.write(line.encode())
        except OSError as error:
            raise RunError(f"cannot write the training record {self.path}: {error.strerror}") from error


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a training in order of images seen, without those a resume has superseded."""
    records: list[dict[str, Any]] = []
    if not path.is_file():
        return records
    for line in path.read_text().splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue  # half a line that a crash left behind
        if record.get("event") == "resume":
            records = [r for r in records if r["images"] <= record["images"]]
        else:
            records.append(record)
    return records
