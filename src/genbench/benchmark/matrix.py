"""The cells of a benchmark: one training each, every model with every seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genbench.core import ConfigError


@dataclass(frozen=True)
class Cell:
    """One training of a benchmark: the overrides of its config, and its run folder."""

    model: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path


def cells(
    models: Mapping[str, Mapping[str, Any]], seeds: Sequence[int], shared: Sequence[Mapping[str, Any]], folder: Path
) -> list[Cell]:
    """Every model with every seed, the seeds of a model together.

    `models` maps a row's name to what its trainings are given, `shared` is what all are given; of the same key
    the model's own value counts, then that of the last in `shared`.

    Raises:
        ConfigError: no models, no seeds, or a seed twice.
    """
    if not models or not seeds:
        raise ConfigError("a benchmark needs at least one entry in benchmark.models and one in benchmark.seeds")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"benchmark.seeds={list(seeds)} names a seed twice: two equal runs are no two samples")
    found = []
    for name, own in models.items():
        given: dict[str, Any] = {}
        for part in (*shared, own):
            given |= flatten(part)
        for seed in seeds:
            overrides = [f"{key}={written(value)}" for key, value in {**given, "name": name, "seed": seed}.items()]
            found.append(Cell(name, seed, tuple(overrides), folder / f"{name}-s{seed}"))
    return found


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def written(value: Any) -> str:
    """A value as Hydra's command line reads it."""
    if isinstance(value, str):
        return value if value.replace("_", "").replace("-", "").isalnum() else json.dumps(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(written, value))}]"
    return json.dumps(value)
