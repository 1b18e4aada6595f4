"""Help with mistyped overrides, where Hydra's own message names no fix or takes many lines."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from genbench.app.compose import compose_raw, compose_unsettled
from genbench.app.hints_sweeps import GROUPS as HYDRAS
from genbench.app.hints_sweeps import known_choices
from genbench.app.listing import groups, unknown
from genbench.app.paths import CONFIG_DIR_FLAGS, conf_dirs, user_dir

_NAME = re.compile(r"[\w-]+")


def refuse_unknown_choices(arguments: Sequence[str]) -> None:
    """Stops at a choice that its group does not have, in one line, before Hydra does in many."""
    found = groups(conf_dirs(arguments))
    for argument in arguments:
        group, _, value = argument.lstrip("+").partition("=")
        known = known_choices(group, conf_dirs(arguments)) if group in HYDRAS else found.get(group, ())
        listed = value.startswith("[") and value.endswith("]")
        for choice in value.strip("[]").split(",") if known else ():
            name = choice.strip()
            if name == "null" and not listed:
                raise SystemExit(
                    f"error: {argument} names no choice: leave it out, or choose one of {', '.join(known)}"
                )
            # anything but names is Hydra's own syntax, of sweeps and of files
            if _NAME.fullmatch(name) and name not in known:
                raise SystemExit(unknown(group, name, list(known)))


def refuse_what_hydra_would(command: str, arguments: Sequence[str]) -> None:
    """Stops in one line at what Hydra would refuse in many; sweeps and questions to Hydra itself are left to it."""
    own = user_dir(arguments)
    rest = [a for a in arguments if own is None or (Path(a).absolute() != own and not a.startswith(CONFIG_DIR_FLAGS))]
    if any(argument.startswith(("-", "hydra.mode")) for argument in rest):
        return
    try:
        compose_unsettled(command, rest)
    except HydraException as error:
        raise SystemExit(f"error: {explained(command, arguments, error)}") from None


def explained(command: str, arguments: Sequence[str], error: HydraException) -> str:
    """What Hydra refuses of a command line, in one line that names what to type instead."""
    return misspelt(command, arguments) or _in_a_line(command, arguments, error)


def _in_a_line(command: str, arguments: Sequence[str], error: HydraException) -> str:
    said = " ".join(str(error).partition("\nSee https")[0].split())
    if isinstance(error, OverrideParseException):
        if "missing EQUAL" in said:
            return f"{error.override} has no value: write {error.override}=..."
        return f"cannot read {error.override} ({said}): close every bracket, and quote text, as in key='a, b'"
    if ambiguous := re.search(r"Ambiguous value for argument '(.*?)=(.*)' 1\.", said):
        key, values = ambiguous.groups()
        return f"{key}={values} is several values: add -m to run each, or write a list, {key}=[{values}]"
    found = groups(conf_dirs(arguments))
    if (choice := re.search(r"Could not find '(\w+)/(.*?)'", said)) and choice[1] in found:
        return unknown(choice[1], choice[2], list(found[choice[1]])).removeprefix("error: ")
    if group := re.search(r"Could not override '(.*?)'\. No match in the defaults list", said):
        each = f"; +cell.{group[1]}=... gives it to every cell" if command == "benchmark" else ""
        return f"genbench {command.replace('_', ' ')} has no choice of {group[1]}{each}"
    return said


def misspelt(command: str, arguments: Sequence[str]) -> str | None:
    """A sentence on the first override whose key the config does not have; None when all keys are there."""
    overrides = [a for a in arguments if "=" in a and not a.startswith(("-", "+", "~", "hydra"))]
    found = groups(conf_dirs(arguments))
    try:
        config = compose_raw(command, [a for a in overrides if a.partition("=")[0] in found])
    except HydraException:
        return None  # a wrong choice, which Hydra explains well
    problems = (_missing(config, command, override.partition("=")[0], found) for override in overrides)
    return next((problem for problem in problems if problem), None)


def _missing(config: DictConfig, command: str, key: str, found: Mapping[str, Iterable[str]]) -> str | None:
    node: Any = OmegaConf.to_container(config)
    inside = command.replace("_", " ")
    for name in key.split("."):
        if node is None and inside in found:
            return f"{key} needs a choice of {inside} first: give {inside}=..., one of {', '.join(found[inside])}"
        if not isinstance(node, dict):
            return None
        known = list(node)
        if name not in known and key in found:
            return None  # a group of which nothing is chosen
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f": did you mean {close[0]}?" if close else f"; it has {', '.join(known)}"
            return f"'{name}' is no key of {inside}{hint}"
        node, inside = node[name], name
    return None
