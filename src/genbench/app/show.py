"""Results in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from genbench.benchmark.columns import distance_name, score_name

TITLES = {
    "fd_infinity": "FD infinity",
    "kid": "KID",
    "fld": "FLD",
    "fld_gap": "FLD gap",
    "ct": "C_T",
    "auth": "authentic",
    "cmmd": "CMMD",
    "cas": "CAS",
    "lpips_diversity": "LPIPS diversity",
    "bits_per_dim": "bits/dim",
}
ORDER = (
    *("fd", "fd_infinity", "kid", "cmmd", "is", "accuracy", "cas", "precision", "recall", "density", "coverage"),
    *("lpips_diversity", "fld", "fld_gap", "ct", "auth", "bits_per_dim"),
)


def show(result: Mapping[str, Any]) -> None:
    """Prints the numbers of a result with their 95 % intervals and their protocol."""
    names = {"fd": distance_name(result["features"]), "is": score_name(result["features"])}
    for key in ORDER:
        value, interval, deviation = (result.get(k) for k in (key, f"{key}_interval", f"{key}_std"))
        if value is None:
            continue
        told = f"{names.get(key, TITLES.get(key, key)):>15}: {value:.5g}"
        if interval:
            told += f"  [{interval[0]:.5g}, {interval[1]:.5g}]"
        if deviation:
            told += f"  +- {deviation:.2g} over sampling seeds"
        if key == "bits_per_dim":
            told += f"  ({result['likelihood']})"
        print(told)
    if result.get("nfe"):
        print(f"{'cost':>15}: {result['nfe']:.0f} evaluations/image, {result['sample_seconds_per_1k']:.2f} s per 1 000")
    print(f"{'protocol':>15}: {result['protocol']}, {result['samples']} samples, {len(result['repeats'])} seeds")


def show_crosswalk(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints one sample set under several conventions, each with its difference from the first."""
    first = next(iter(results.values()))
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("score")
    for name, result in results.items():
        table.add_column(f"{name}\n{result['protocol']}", justify="right")
    for key in ORDER:
        values = [result.get(key) for result in results.values()]
        if any(value is not None for value in values):
            table.add_row(TITLES.get(key, key), *(_against(value, first.get(key)) for value in values))
    Console(width=max(Console().width, 100)).print(table)


def _against(value: float | None, first: float | None) -> str:
    if value is None:
        return "\N{EN DASH}"
    if first is None or value == first:
        return f"{value:.5g}"
    return f"{value:.5g} ({value - first:+.3g})"
