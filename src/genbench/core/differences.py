"""What differs between two configs, in words."""

from collections.abc import Iterator
from typing import Any


def differences(there: Any, here: Any, path: str = "") -> Iterator[str]:
    """`key: value there, value here` for every leaf that differs."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}, key=str):
            yield from differences(there.get(key), here.get(key), f"{path}.{key}" if path else str(key))
    elif there != here:
        yield f"{path}: {there} there, {here} here"
