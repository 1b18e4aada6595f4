"""Help with mistyped overrides, where Hydra's own message names no fix."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from genbench.app.compose import compose_raw
from genbench.app.listing import groups
from genbench.app.paths import conf_dirs


def refuse_null(arguments: Sequence[str]) -> None:
    """Stops at `group=null`, which Hydra takes for a mistake of the program."""
    found = groups(conf_dirs(arguments))
    for argument in arguments:
        group, _, value = argument.partition("=")
        if value == "null" and group in found:
            raise SystemExit(
                f"error: {argument} names no choice: leave it out, or choose one of {', '.join(found[group])}"
            )


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
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f": did you mean {close[0]}?" if close else f"; it has {', '.join(known)}"
            return f"'{name}' is no key of {inside}{hint}"
        node, inside = node[name], name
    return None
