"""Fingerprints of weight files."""

import hashlib
from pathlib import Path

from genbench.core import ConfigError


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes.

    Raises:
        ConfigError: no such file, or one that cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(
            f"weights file {path} cannot be read ({error.strerror}): give features.weights a readable file"
        ) from error
