"""What is checked of a search before anything trains, for Optuna's studies and W&B's sweeps alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from genbench.app.build import build, resolve
from genbench.app.compose import compose
from genbench.app.rules import built_by
from genbench.app.training import open_experiment
from genbench.benchmark.panel import better_end
from genbench.core import ConfigError, HasLikelihood
from genbench.core.differences import differences
from genbench.identity import identity
from genbench.metrics import Metric
from genbench.sweep.search import Direction, Search
from genbench.sweep.space import Choice, Space, first, written

OWN = ("run_dir", "trial", "judge")
"""What every trial is given by its study."""

DIRECTIONS: Mapping[str | None, Direction] = {"low": "minimize", "high": "maximize"}


def make_search(
    fixed: Sequence[str],
    space: Space,
    objective: str,
    direction: Direction | None,
    under: str,
    seed: int = 0,
    startup: int = 10,
) -> Search:
    """A search whose first training could begin; `under` is where objective and direction are typed.

    Raises:
        GenbenchError: a key or choice that there is not, values that do not go together, or an objective that the
            protocol does not measure.
    """
    for override in (*fixed, *space):
        key = override.lstrip("+~").partition("=")[0]
        if key in OWN:
            raise ConfigError(f"{key} is each trial's own: leave it out")
    begun = {key: first(parameter) for key, parameter in space.items()}
    search = Search(tuple(fixed), space, objective, "minimize", seed, startup)
    others = {
        f"{key}={written(value)}": compose("train", search.overrides(begun | {key: value}))
        for key, parameter in space.items()
        for value in (parameter.values[1:] if isinstance(parameter, Choice) else ())
    }
    first_of_all = compose("train", search.overrides(begun))
    try:
        base = identity(resolve(first_of_all))
        choices = {title: _hash(differences(base, identity(resolve(config)))) for title, config in others.items()}
        dataset, plain = open_experiment(first_of_all)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} has no value: give {error.full_key}=...") from error
    except InterpolationResolutionError as error:
        raise ConfigError(f"{error.full_key}: {error.msg}") from error
    try:
        _check_measured(objective, plain)
        direction = direction or _direction(objective)
    except ConfigError as error:
        raise ConfigError(f"{under}.{error}") from None
    judged_by = {key: plain[key] for key in ("protocol", "features", "metric", "likelihood")}
    images = {split: dataset.table(split).fingerprint() for split in ("train", "test")}
    decides = {**identity(plain), **judged_by, "images": images, "choices": choices}
    return replace(search, direction=direction, config=json.loads(json.dumps(decides, default=str)))


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _check_measured(objective: str, config: Mapping[str, Any]) -> None:
    """That the protocol will have a score of this name for this model."""
    model = build(config["model"])
    silent = not isinstance(model, HasLikelihood) or config["model"].get("likelihood", True) is None
    measured, missing = ([], ["bits_per_dim"]) if silent else (["bits_per_dim"], [])
    for node in (config.get("metric") or {}).values():
        metric = built_by(node)
        assert metric is not None
        assert issubclass(metric, Metric)
        if not metric.keys:
            return  # it says only when it is called what it measures
        (missing if metric.needs_labels and not model.conditional else measured).extend(metric.keys)
    if objective in missing:
        raise ConfigError(
            f"objective={objective} is nothing that model={config['name']} has: choose one of {', '.join(measured)}"
        )
    if objective not in measured:
        raise ConfigError(
            f"objective={objective} is not measured by protocol {config['protocol']['name']}: choose one of "
            f"{', '.join(measured)}, or add its metric, such as +metric=[cas]"
        )


def _direction(objective: str) -> Direction:
    end = better_end(objective)
    if end not in DIRECTIONS:
        raise ConfigError(f"objective={objective} has no better end that is known: give direction=minimize or maximize")
    return DIRECTIONS[end]
