"""What a packing that was interrupted left, so that it goes on, and nobody else's folder is written to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from genbench.core import ConfigError
from genbench.core.files import write_atomically
from genbench.data.shard_index import INDEX, Index, Shard, read_index, read_shard

UNFINISHED = ".unfinished"
"""The folder of a packing's notes, removed when it is done."""


def finished(out: Path, identity: str) -> Index | None:
    """The index of a finished packing of these images."""
    if not (out / INDEX).is_file():
        return None
    index = read_index((out / INDEX).read_bytes(), str(out / INDEX))
    if index.source != identity:
        raise ConfigError(
            f"{out} holds shards of other images, or cut differently: choose another out, or remove it first"
        )
    return index


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
