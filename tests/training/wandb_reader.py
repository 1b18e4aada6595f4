"""Reads back what W&B wrote offline: a log of protocol buffers in LevelDB's format."""

import json
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32 * 1024
HEADER = struct.Struct("<IHB")
"""Of every chunk: crc32 of type and content, length, type."""
WHOLE, LAST = 1, 4
"""Types of chunk that end a record; 2 and 3 are its first and middle ones."""


@dataclass
class OfflineRun:
    """One segment of a W&B run: from one start of the process to its end."""

    folder: Path
    id: str = ""
    project: str = ""
    name: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None

    def media(self, row: dict[str, Any], key: str) -> list[Path]:
        """The files of the pictures under a key of a row of history."""
        return [self.folder / "files" / name for name in row[f"{key}/filenames"]]


def read_offline_runs(folder: Path) -> list[OfflineRun]:
    """The segments that trainings in a run folder have left, in the order they were written."""
    return [read_ended(path) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


def read_ended(path: Path, patience: float = 20.0) -> OfflineRun:
    """A segment that was ended; W&B's own process writes the rest of the file just after `finish` has returned."""
    deadline = time.monotonic() + patience
    while (run := read_offline_run(path)).exit_code is None:
        assert time.monotonic() < deadline, f"{path} has no end"
        time.sleep(0.01)
    return run


def read_offline_run(path: Path) -> OfflineRun:
    run = OfflineRun(path.parent)
    for record in map(Record.FromString, chunks(path.read_bytes())):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.id, run.project, run.name = record.run.run_id, record.run.project, record.run.display_name
            run.group, run.tags = record.run.run_group, list(record.run.tags)
            run.config |= values(record.run.config.update)
        elif kind == "history":
            run.history.append(values(record.history.item))
        elif kind == "summary":
            run.summary |= values(record.summary.update)
        elif kind == "metric" and record.metric.step_metric:
            run.axes[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def values(items: Iterable[Any]) -> dict[str, Any]:
    """Items of a record by key, nested keys joined by a slash."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def chunks(content: bytes) -> Iterator[bytes]:
    """The records of a log, put together from their chunks."""
    assert content[:4] == b":W&B"
    position, record = 7, b""
    while position + HEADER.size <= len(content):
        if BLOCK - position % BLOCK < HEADER.size:  # what is left of a block holds no chunk
            position += BLOCK - position % BLOCK
            continue
        checksum, length, kind = HEADER.unpack_from(content, position)
        start, position = position + HEADER.size, position + HEADER.size + length
        if position > len(content):  # still being written
            return
        record += content[start:position]
        assert zlib.crc32(bytes([kind]) + content[start:position]) == checksum
        if kind in (WHOLE, LAST):
            yield record
            record = b""
