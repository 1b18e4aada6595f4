"""Files that are whole or not there."""

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from genbench.core.errors import RunError


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Writes a whole file or leaves the old one.

    Raises:
        RunError: it cannot be written, such as on a full disk.
    """
    # unique, so that two processes, on one host or two, never touch each other's half
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise RunError(f"cannot write {path}: {error.strerror or error}; what was there before is kept") from error


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically; a NaN is an error, not a number."""
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
