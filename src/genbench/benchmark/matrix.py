"""The cells of a benchmark: one training each, every model with every seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genbench.core import ConfigError


@dataclass(frozen=True)
class Cell:
    """One training of a benchmark: the overrides of its config, and its run folder."""

    model: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path


def cells(
    models: Mapping[str, Sequence[str]], seeds: Sequence[int], overrides: Sequence[str], folder: Path
) -> list[Cell]:
    """Every model with every seed, the seeds of a model together.

    `models` maps a row's name to its own overrides; one without any is the model choice of that name.
    Overrides of the benchmark come before the model's own, which therefore win.

    Raises:
        ConfigError: no models, no seeds, or a seed twice.
    """
    if not models or not seeds:
        raise ConfigError("a benchmark needs at least one entry in benchmark.models and one in benchmark.seeds")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"benchmark.seeds={list(seeds)} names a seed twice: two equal runs are no two samples")
    return [
        Cell(
            name,
            seed,
            (*overrides, *(own or [f"model={name}"]), f"name={name}", f"seed={seed}"),
            folder / f"{name}-s{seed}",
        )
        for name, own in models.items()
        for seed in seeds
    ]
