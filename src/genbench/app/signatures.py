"""What constructors say of their arguments: names to classes, annotations to words."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints


def locate(target: str) -> Any:
    """The class or function of a dotted name.

    Raises:
        ImportError, AttributeError: there is none.
    """
    parts = str(target).split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:end])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # the module is there, but something that it imports is not
            continue
        for name in parts[end:]:
            found = getattr(found, name)
        return found
    raise ImportError(f"no module named {parts[0]!r}")


def type_hints(function: Any) -> dict[str, Any]:
    """The evaluated annotations of a constructor or function; none where they cannot be evaluated."""
    try:
        constructor = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
        return get_type_hints(constructor, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


def describe(annotation: Any) -> str:
    """An annotation in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe(inner[0])
    if origin in (Union, UnionType):
        return " or ".join(map(describe, inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"a list of {len(inner)}: {', '.join(map(describe, inner))}"
    if origin in (list, tuple, Sequence):
        return f"a list of {describe(inner[0])}" if inner else "a list"
    if annotation is NoneType:
        return "null"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")


def alternatives(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation alone, without metadata."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in alternatives(part)]
    return [annotation]


def is_object(annotation: Any) -> bool:
    """Whether only a node with a `_target_` can stand for it."""
    return (
        isinstance(annotation, type)
        and get_origin(annotation) is None
        and annotation.__module__ not in ("builtins", "typing")
        and not issubclass(annotation, (int, float, str, Path))
    )
