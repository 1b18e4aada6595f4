"""A search as a file that W&B's sweeps read, checked against W&B's own schema."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

from genbench.core import ConfigError
from genbench.sweep.search import Search
from genbench.sweep.space import Choice, Interval, Parameter, written

Method = Literal["bayes", "grid", "random"]


def sweep_file(search: Search, method: Method, settings: dict[str, Any], flags: Sequence[str] = ()) -> dict[str, Any]:
    """What W&B is told: `settings` (name, project, entity) as they are, and a command that trains and judges.

    `flags` are those of the command, before its overrides.

    Raises:
        ConfigError: an interval in a grid, what W&B's schema refuses, or no schema at hand.
    """
    for key, parameter in search.space.items():
        if method == "grid" and isinstance(parameter, Interval):
            raise ConfigError(
                f"{key}={parameter}: a grid takes lists of values: use choice(...), or sweep.method=bayes"
            )
    # W&B's agent fills in the last word, a key and value for each parameter
    own = [*flags, *search.fixed, "judge=true", "logger.mode=online"]
    command = ["${env}", "genbench", "train", *own, "${args_no_hyphens}"]
    file = {
        **{key: value for key, value in settings.items() if value is not None},
        "method": method,
        "metric": {"name": f"final/{search.objective}", "goal": search.direction},
        "parameters": {key: _parameter(parameter) for key, parameter in search.space.items()},
        "command": command,
    }
    _check(file)
    return file


def _parameter(parameter: Parameter) -> dict[str, Any]:
    if isinstance(parameter, Choice):
        return {"values": [written(v) if isinstance(v, bool) else v for v in parameter.values]}
    if not isinstance(parameter, Interval):
        return {"values": list(parameter.values)}
    ends = {"min": parameter.low, "max": parameter.high}
    if parameter.whole:
        return {"distribution": "q_log_uniform_values", "q": 1, **ends} if parameter.log else ends
    return {"distribution": "log_uniform_values" if parameter.log else "uniform", **ends}


def _check(file: dict[str, Any]) -> None:
    if find_spec("sweeps") is None:
        raise ConfigError("genbench sweep checks its file by W&B's own schema: pip install 'genbench[sweeps]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was written for an earlier pydantic
        from sweeps import schema_violations_from_proposed_config
    if wrong := schema_violations_from_proposed_config(file):
        raise ConfigError(f"W&B would refuse this sweep: {'; '.join(wrong)}")
