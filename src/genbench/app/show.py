"""Results in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from genbench.benchmark.columns import distance_name, score_name
from genbench.benchmark.panel import PANEL, panel_scale, panel_title

ORDER = ("fd", "is", "accuracy", *PANEL, "bits_per_dim")


def title(key: str, features: str) -> str:
    """What a score over these features may be called, as the tables call it."""
    own = {"fd": distance_name(features), "is": score_name(features), "bits_per_dim": "bits/dim"}
    return own.get(key) or panel_title(key, features)


def show(result: Mapping[str, Any]) -> None:
    """Prints the numbers of a result with their 95 % intervals and their protocol."""
    features = result["features"]
    for key in ORDER:
        value, interval, deviation = (result.get(k) for k in (key, f"{key}_interval", f"{key}_std"))
        if value is None:
            continue
        scale = panel_scale(key, features)
        told = f"{title(key, features):>17}: {scale * value:.5g}"
        if interval:
            told += f"  [{scale * interval[0]:.5g}, {scale * interval[1]:.5g}]"
        if deviation:
            told += f"  +- {scale * deviation:.2g} over sampling seeds"
        if key == "bits_per_dim":
            error = result.get("bits_per_dim_error")  # results of earlier versions have none
            told += f"{f'  +- {error:.2g} over images' if error else ''}  ({result['likelihood']})"
        print(told)
    if result.get("nfe"):
        print(f"{'cost':>17}: {result['nfe']:.0f} evaluations/image, {result['sample_seconds_per_1k']:.2f} s per 1 000")
    seeds = "1 seed" if len(result["repeats"]) == 1 else f"{len(result['repeats'])} seeds"
    print(f"{'protocol':>17}: {result['protocol']}, {result['samples']} samples, {seeds}")


def show_crosswalk(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints one sample set under several conventions, each with its difference from the first."""
    features = next(iter(results.values()))["features"]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("score")
    for name, result in results.items():
        table.add_column(f"{name}\n{result['protocol']}", justify="right")
    for key in ORDER:
        values = [result.get(key) for result in results.values()]
        if any(value is not None for value in values):
            scaled = [None if value is None else panel_scale(key, features) * value for value in values]
            table.add_row(title(key, features), *(_against(value, scaled[0]) for value in scaled))
    Console(width=max(Console().width, 100)).print(table)


def _against(value: float | None, first: float | None) -> str:
    if value is None:
        return "\N{EN DASH}"
    if first is None or value == first:
        return f"{value:.5g}"
    return f"{value:.5g} ({value - first:+.3g})"
