"""What is kept on disk because it took long to get."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from genbench.core import DataError, RunError
from genbench.core.files import write_atomically

_ABANDONED = 3600
"""After how many seconds half a file is one whose process was killed."""


def cache(what: str) -> Path:
    """A folder of the cache, `$GENBENCH_CACHE` or `~/.cache/genbench`, made if it is not there."""
    folder = Path(os.environ.get("GENBENCH_CACHE") or Path.home() / ".cache" / "genbench") / what
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept(folder: Path, name: str, make: Callable[[], Any], limit: int | None = None) -> Any:
    """The Arrow table `name` of a folder, mapped into memory; the first of all processes that ask for it makes it.

    With a `limit` tables that were not asked for the longest are removed, until the others take that many bytes.

    Raises:
        DataError: it cannot be written.
    """
    there = folder / f"{name}.arrow"
    with suppress(OSError, ValueError):  # it is not there, or damaged and made again
        return _mapped(there)
    with FileLock(folder / f"{name[:2]}.lock"):  # so that those who need the same one wait for the first
        with suppress(OSError, ValueError):
            return _mapped(there)
        table = make()
        try:
            write_atomically(there, _serialised(table))
        except RunError as error:
            raise DataError(f"{error}; free the disk, lower data.cache_limit, or set GENBENCH_CACHE") from error
        if limit is not None:
            _trim(folder, limit, there)
        with suppress(OSError, ValueError):  # where the limit is small, another process may have removed it
            return _mapped(there)
    return table


def _mapped(path: Path) -> Any:
    import pyarrow as arrow

    table = arrow.ipc.open_file(arrow.memory_map(str(path))).read_all()
    with suppress(OSError):  # removed meanwhile, or another user's
        os.utime(path)
    return table


def _serialised(table: Any) -> memoryview:
    import pyarrow as arrow

    sink = arrow.BufferOutputStream()
    with arrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _trim(folder: Path, limit: int, newest: Path) -> None:
    """Removes what was not used for the longest; who has it mapped goes on reading it."""
    for half in folder.glob(".*.partial"):
        with suppress(FileNotFoundError):
            if time.time() - half.stat().st_mtime > _ABANDONED:
                half.unlink()
    stats = []
    for path in folder.glob("*.arrow"):
        with suppress(FileNotFoundError):  # another process removes as well
            stats.append((path.stat().st_mtime_ns, path.stat().st_size, path))
    total = sum(size for _, size, _ in stats)
    for _, size, path in sorted(stats):
        if total <= limit:
            break
        if path != newest:
            path.unlink(missing_ok=True)
            total -= size
