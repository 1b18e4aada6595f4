"""What differs between two configs, in words."""

from collections.abc import Iterator
from typing import Any


def differences(there: Any, here: Any, path: str = "") -> Iterator[str]:
    """`key: value there, value here` for every leaf that differs."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}, key=str):
            yield from differences(there.get(key), here.get(key), f"{path}.{key}" if path else str(key))
    elif there != here:
        yield f"{path}: {_typed(there)} there, {_typed(here)} here"


def _typed(value: Any) -> str:
    """A value as it is typed in a config."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
