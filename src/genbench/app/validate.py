"""Checks a resolved config against the annotations of everything it would build, before anything is built."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from genbench.app.signatures import alternatives, describe, is_object, locate, type_hints
from genbench.core import ConfigError, ImageSpec
from genbench.core.errors import first_line

LATER = "later"
"""Metadata of a node that must have `_partial_: true`, because some of its arguments come later."""


PYDANTIC = "Input should be "
YAML_WORDS = {
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid string": "a string",
    "a valid boolean": "true or false",
    "a valid array": "a list",
    "a valid list": "a list",
}


class Section:
    """A config node of plain values, described by a dataclass."""


def validate_config(config: Mapping[str, Any], command: str = "train") -> None:
    """Checks the config of a command.

    Raises:
        ConfigError: see `validate`.
    """
    from genbench.app.schema import SCHEMAS

    validate(config, SCHEMAS[command])


def validate_run(config: Mapping[str, Any]) -> None:
    """Checks a run's own config: a training's, or that of a model that was trained elsewhere.

    Raises:
        ConfigError: see `validate`.
    """
    from genbench.app.schema_training import ModelConfig, TrainConfig

    validate(config, TrainConfig if "training" in config else ModelConfig)


def validate(config: Mapping[str, Any], schema: type[Section]) -> None:
    """Checks a resolved config: values against annotations, targets against the classes they stand for.

    Nothing is called, and no target is accepted that does not build what its place asks for, so a config from
    elsewhere cannot call arbitrary functions.

    Raises:
        ConfigError: all errors at once, one line each: config path, value, what was expected.
    """
    checker = _Checker()
    checker.arguments(schema, config, "", complete=True)
    if checker.errors:
        many = [f"{len(checker.errors)} config values do not fit:"] if len(checker.errors) > 1 else []
        raise ConfigError("\n  ".join([*many, *checker.errors]))


class _Checker:
    """Collects the errors of one config."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.seen: list[Any] = []

    def arguments(self, function: Any, values: Mapping[str, Any], path: str, complete: bool) -> None:
        """Values against the parameters of a class or function; `complete` when none may be missing."""
        parameters = inspect.signature(function).parameters
        hints = type_hints(function)
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        named = {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        for name, value in values.items():
            if name in named:
                self.value(value, hints.get(name, Any), _join(path, name))
            elif not open_ended or name.startswith("_"):
                close = get_close_matches(name, named, n=1)
                hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(named)}"
                self.errors.append(f"{_join(path, name)}: unknown; {hint}")
            elif builds(value):
                self.errors.append(f"{_join(path, name)}: unknown to {function.__name__}, so it may not build anything")
        for name, parameter in named.items():
            if complete and parameter.default is parameter.empty and name not in values:
                self.errors.append(f"{_join(path, name)}: missing; expected {describe(hints.get(name, Any))}")

    def value(self, value: Any, annotation: Any, path: str) -> None:
        """One value against one annotation."""
        members = alternatives(annotation)
        if isinstance(value, dict):
            self.mapping(value, annotation, path)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            elements = [a for m in members if get_origin(m) in (list, tuple, Sequence) for a in get_args(m)]
            for position, item in enumerate(value):
                self.value(item, elements[0] if elements else Any, _join(path, position))
        elif value is None and members == [ImageSpec]:
            return  # data that tell their spec only once they are opened
        elif all(is_object(m) or m is NoneType for m in members):
            if not (value is None and NoneType in members):
                self.errors.append(f"{path} = {shown(value)}: expected {describe(annotation)}")
        else:
            self.plain(value, annotation, path)

    def mapping(self, value: dict[str, Any], annotation: Any, path: str) -> None:
        """A node: one that builds something, a section, or a mapping of either."""
        members = alternatives(annotation)
        maps = [m for m in members if m is Any or (get_origin(m) or m) in (dict, Mapping)]
        if "_target_" in value:
            self.node(value, annotation, path)
        elif isinstance(members[0], type) and issubclass(members[0], Section):
            self.arguments(members[0], value, path, complete=True)
        elif maps:
            for key, item in value.items():
                self.value(item, (get_args(maps[0]) or [Any])[-1], _join(path, key))
        else:
            self.errors.append(f"{path} = {shown(value)}: expected {describe(annotation)}")

    def node(self, node: Mapping[str, Any], annotation: Any, path: str) -> None:
        """A node with a `_target_`: the class it builds, then its arguments."""
        target, partial = node["_target_"], node.get("_partial_", False)
        try:
            function = locate(target)
        except Exception as error:  # importing a module can raise anything
            self.errors.append(f"{path}._target_ = {shown(target)}: cannot be imported ({first_line(error)})")
            return
        built = function if isinstance(function, type) else type_hints(function).get("return")
        allowed = tuple(m for m in alternatives(annotation) if is_object(m))
        if not (isinstance(built, type) and allowed and issubclass(built, allowed)):
            self.errors.append(f"{path}._target_ = {shown(target)}: expected {describe(annotation)}")
            return
        later = get_origin(annotation) is Annotated and LATER in annotation.__metadata__
        if partial is not later:
            self.errors.append(f"{path}._partial_ = {shown(partial)}: expected {shown(later)}")
            return
        if node not in self.seen:  # an interpolated copy is reported once, at its origin
            self.seen.append(node)
            values = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
            self.arguments(function, values, path, complete=not partial)

    def plain(self, value: Any, annotation: Any, path: str) -> None:
        """A number, string, list or null, as strictly as JSON tells types apart; any sequence is a list there."""
        try:
            adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True, strict=True))
        except (PydanticSchemaGenerationError, PydanticUserError):
            return  # an annotation that says nothing about plain values
        try:
            adapter.validate_json(shown(value))
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
            if len(errors) == 1 and errors[0]["msg"].startswith(PYDANTIC):
                where = ".".join([path, *map(str, errors[0]["loc"])])
                expected = errors[0]["msg"].removeprefix(PYDANTIC)
                self.errors.append(
                    f"{where} = {shown(errors[0]['input'])}: expected {YAML_WORDS.get(expected, expected)}"
                )
            else:
                self.errors.append(f"{path} = {shown(value)}: expected {describe(annotation)}")


def builds(value: Any) -> bool:
    """Whether a value holds a node with a `_target_` anywhere."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(builds, value.values()))
    return isinstance(value, list) and any(map(builds, value))


def shown(value: Any) -> str:
    """A value as it is written in a config."""
    return json.dumps(value, default=str)


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
