"""The cells of a benchmark: one training each, every model with every seed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genbench.benchmark.tables import flatten
from genbench.core import ConfigError

LONGEST = 220
"""Bytes of a row's name: folders are named by it and a seed, while they are made with more, in 255 at most."""


@dataclass(frozen=True)
class Cell:
    """One training of a benchmark: the overrides of its config, and its run folder."""

    model: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path


def cells(
    models: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    folder: Path,
) -> list[Cell]:
    """Every model with every seed, the seeds of a model together.

    `models` maps a row's name to what its trainings are given; `before` and `after` are given to all. Of one key
    the value in `after` counts, then the model's own, then that in `before`. A choice in `after` (`budget: tiny`)
    also replaces what the others say inside its group (`budget.images`).

    Raises:
        ConfigError: no models, no seeds, a seed twice, or a name that cannot be a folder's.
    """
    if not models or not seeds:
        raise ConfigError("a benchmark needs at least one entry in benchmark.models and one in benchmark.seeds")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"benchmark.seeds={list(seeds)} names a seed twice: two equal runs are no two samples")
    last = flatten(after)
    found = []
    for name, own in ((str(each), own) for each, own in models.items()):  # a yaml may have 64: for a name
        _require_folder_name(name)
        given = flatten(before) | flatten(own)
        kept = {key: value for key, value in given.items() if not any(key.startswith(f"{choice}.") for choice in last)}
        for seed in seeds:
            overrides = {**kept, **last, "name": name, "seed": seed}
            lines = tuple(f"{key}={written(value)}" for key, value in overrides.items())
            found.append(Cell(name, seed, lines, folder / f"{name}-s{seed}"))
    return found


def _require_folder_name(name: str) -> None:
    """That runs can lie in folders of a row's name, and `only=` can name them."""
    if not name.strip() or len(name.encode()) > LONGEST or re.search(r"^\.|[/\x00-\x1f\x7f]|\$\{", name):
        raise ConfigError(
            f"benchmark.models: {name!r} names folders: use 1 to {LONGEST} bytes without /, ${{ and line breaks, and "
            "no dot at the beginning"
        )


def written(value: Any) -> str:
    """A number, string, list or null as Hydra's command line reads it; strings always quoted, so they stay strings."""
    if isinstance(value, str):
        # there a backslash escapes only a quote, and itself only right before one
        escaped = re.sub(r'(\\*)("|\Z)', lambda match: 2 * match[1] + match[2].replace('"', r"\""), value)
        return f'"{escaped}"'
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(written, value))}]"
    return str(value) if isinstance(value, float) else json.dumps(value)
