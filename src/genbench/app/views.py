"""One sample set, several judgements: further extractors and further protocols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from genbench.app.build import resolve
from genbench.app.compose import compose
from genbench.app.validate import validate_config
from genbench.core import ConfigError


def views(plain: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resolved `evaluate` configs that a command line asks for, by name: each is a judgement of its own.

    A view is the same command line with another `protocol` (crosswalk) or other `features` (also).

    Raises:
        ConfigError: both at once, or a view whose choices do not go together.
    """
    wanted = {name: weights for name, weights in plain["also"].items() if weights is not None}
    if plain["crosswalk"]:
        if wanted:
            raise ConfigError("protocol=crosswalk compares conventions of one extractor: leave also.* out")
        return {name: _view("protocol", [f"protocol={name}"]) for name in plain["crosswalk"]}
    for name, weights in wanted.items():
        if not Path(weights).expanduser().exists():
            raise ConfigError(f"also.{name}={weights}: there is no such file or folder of weights")
    further = {
        name: _view("features", [f"features={name}", f"features.weights={weights}"]) for name, weights in wanted.items()
    }
    return {plain["protocol"]["name"]: plain, **further}


def _view(group: str, choices: Sequence[str]) -> dict[str, Any]:
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    kept = [override for override in given if not _in_group(override, group, choices)]
    if group == "protocol" and any(override.startswith("features=") for override in kept):
        raise ConfigError("protocol=crosswalk compares conventions of Inception: leave features=... out")
    view = resolve(compose("evaluate", [*kept, *choices]))
    validate_config(view, "evaluate")
    return view


def _in_group(override: str, group: str, choices: Sequence[str]) -> bool:
    key = override.lstrip("+~").split("=", 1)[0]
    replaced = {choice.split("=", 1)[0] for choice in choices}
    # `protocol.samples=...` stays, for every view; other extractors have other arguments
    return key == group or key in replaced or (group == "features" and key.startswith("features."))
