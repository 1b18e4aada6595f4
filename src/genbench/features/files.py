"""Fingerprints of weight files."""

import hashlib
from pathlib import Path

from genbench.core import ConfigError

LEAST_DIGITS = 8


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes.

    Raises:
        ConfigError: no such file, or one that cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"the weights {path} cannot be read ({error.strerror}): give a readable file") from error


def verify(path: Path, found: str, expected: str, key: str) -> None:
    """Refuses weights whose sha256 does not begin with the `expected` digits, which the config's `key` gives.

    Raises:
        ConfigError: naming both sums; or fewer digits than tell files apart.
    """
    if len(expected) < LEAST_DIGITS or not found.startswith(expected.lower()):
        raise ConfigError(
            f"{path} has sha256 {found}, expected {expected or 'one'}: fetch it again, or set {key} to the sum of "
            f"weights you trust (at least {LEAST_DIGITS} hex digits)"
        )
