"""What a packing left, so that it goes on or is mended, and nobody else's folder is written to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from genbench.core import ConfigError, DataError
from genbench.core.differences import differences
from genbench.core.files import write_atomically, write_json
from genbench.data.shard_index import INDEX, Index, Shard, read_index, read_shard

UNFINISHED = ".unfinished"
"""The folder of a packing's notes, removed when it is done."""

NOTE = "packing.json"
"""What was packed and how, kept beside the index, which can be written again where this is known."""


def finished(out: Path, settings: Mapping[str, Any], identity: str) -> Index | None:
    """What a finished packing of these images left: its index, without shards if that was lost.

    Raises:
        ConfigError: a finished packing of other images, or with other settings.
        DataError: a damaged index, and no note of what it was of.
    """
    note = _noted(out)
    try:
        index = read_index((out / INDEX).read_bytes(), str(out / INDEX))
    except OSError:
        index = None
    except DataError:
        if not note:
            raise
        index = None
    if index is not None and index.source == identity:
        return index
    if note.get("identity") == identity:
        return Index([], [], [], identity)
    if index is None and not note:
        return None
    what = "shards of other images" if note else "shards of other images, or cut differently"
    if note and (differing := "; ".join(differences(note["settings"], settings))):
        what = f"shards that were packed otherwise ({differing})"
    raise ConfigError(f"{out} holds {what}: choose another out, or remove it first")


def note_finished(out: Path, settings: Mapping[str, Any], identity: str) -> None:
    """Keeps what was packed and how."""
    write_json(out / NOTE, {"identity": identity, "settings": dict(settings)})


def _noted(out: Path) -> dict[str, Any]:
    try:
        note = json.loads((out / NOTE).read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and note.keys() == {"identity", "settings"} else {}


def claim(out: Path, work: Path, what: str, finished: Index | None) -> None:
    """Makes the folder of an unfinished packing, or finds that of the same one."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: choose another out, a folder that is empty or not there")
    note = work / "what"
    if note.is_file():
        if note.read_text() != what:
            raise ConfigError(
                f"{out} holds an unfinished packing of {note.read_text()}, not of {what}: choose another out, or "
                "remove it first"
            )
    elif finished is None and out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} holds something else: choose another out, a folder that is empty or not there")
    write_atomically(note, what.encode())


@contextmanager
def alone(out: Path, work: Path) -> Iterator[None]:
    """Keeps other processes from packing there too."""
    try:
        with FileLock(work / "lock", timeout=0):
            yield
    except Timeout:
        raise ConfigError(f"another process is packing into {out}: wait for it, or choose another out") from None


def kept(path: Path) -> Shard | None:
    """What an interrupted packing noted of a shard."""
    try:
        return read_shard(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def whole(path: Path, shard: Shard) -> bool:
    """Whether a shard's file is there, byte for byte."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256
    except OSError:
        return False
