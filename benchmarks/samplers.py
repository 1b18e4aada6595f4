"""Frechet distance against network evaluations: every sampler at several numbers of steps, on trained diffusion models.

    python benchmarks/samplers.py [--benchmark digits_diffusion] [--out docs]

Trains what `genbench benchmark benchmark=digits_diffusion` trains (three seeds of each objective), then judges each
run with each sampler as `genbench evaluate run=... sampler=...` does; what is judged already is kept. Writes
samplers.csv and samplers.png, and prints a table in Markdown: the mean over training seeds, and their deviation.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt

from genbench.app.commands import benchmark, evaluate
from genbench.app.compose import compose
from genbench.benchmark.columns import plus_minus

SAMPLERS: dict[str, tuple[int, ...]] = {
    "ddpm": (20, 50),
    "ddim": (5, 10, 20, 250),
    "dpmpp_2m": (5, 10, 20),
    "dpmpp_3m": (10, 20),
    "dpmpp_2m_sde": (10, 20),
    "heun": (5, 10),
}
"""Steps by sampler; Heun's method evaluates the network twice in each but the last."""


class Point(NamedTuple):
    """One judgement."""

    objective: str
    seed: int
    sampler: str
    steps: int
    nfe: float
    fd: float
    seconds_per_1k: float


def judged(folder: Path) -> Iterator[Point]:
    """Every run with every sampler."""
    for run in sorted((folder / "cells").iterdir()):
        objective, _, seed = run.name.rpartition("-s")
        for sampler, many in SAMPLERS.items():
            for steps in many:
                out = run / "samplers" / f"{sampler}-{steps}.json"
                if not out.is_file():
                    chosen = [f"run={run}", f"sampler={sampler}", f"sampler.steps={steps}", f"out={out}"]
                    evaluate.run(compose("evaluate", [*chosen, "protocol.repeats=1", "metric=[fd]"]))
                found = json.loads(out.read_text())
                yield Point(
                    objective, int(seed), sampler, steps, found["nfe"], found["fd"], found["sample_seconds_per_1k"]
                )


def picture(points: list[Point], path: Path) -> None:
    """A panel per objective, a line per sampler."""
    objectives = list(dict.fromkeys(point.objective for point in points))
    figure, axes = plt.subplots(1, len(objectives), figsize=(3.4 * len(objectives), 3.2), sharey=True, squeeze=False)
    for axis, objective in zip(axes[0], objectives, strict=True):
        for sampler in SAMPLERS:
            line = [means(points, objective, sampler, steps) for steps in SAMPLERS[sampler]]
            axis.plot([nfe for nfe, *_ in line], [fd for _, fd, *_ in line], marker="o", markersize=3, label=sampler)
        axis.set(title=objective, xscale="log", yscale="log", xlabel="network evaluations per image")
        axis.grid(alpha=0.3, which="both", linewidth=0.4)
    axes[0][0].set_ylabel("Frechet distance (digits)")
    axes[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def means(points: list[Point], objective: str, sampler: str, steps: int) -> tuple[float, float, float | None, float]:
    """Evaluations, distance, its deviation over training seeds if several, and seconds per 1000 images."""
    found = [p for p in points if (p.objective, p.sampler, p.steps) == (objective, sampler, steps)]
    distances = [p.fd for p in found]
    return (
        statistics.fmean(p.nfe for p in found),
        statistics.fmean(distances),
        statistics.stdev(distances) if len(distances) > 1 else None,
        statistics.fmean(p.seconds_per_1k for p in found),
    )


def table(points: list[Point]) -> str:
    """A row per sampler and number of steps, a column per objective."""
    objectives = list(dict.fromkeys(point.objective for point in points))
    lines = [
        "| sampler | steps | NFE | s per 1 000 | " + " | ".join(objectives) + " |",
        "|---" * (4 + len(objectives)) + "|",
    ]
    for sampler, many in SAMPLERS.items():
        for steps in many:
            rows = [means(points, objective, sampler, steps) for objective in objectives]
            seconds = statistics.fmean(row[3] for row in rows)
            cells = " | ".join(plus_minus(fd, deviation) for _, fd, deviation, _ in rows)
            lines.append(f"| `{sampler}` | {steps} | {rows[0][0]:.0f} | {seconds:.2f} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Trains, judges, draws, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", default="digits_diffusion")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of samplers.csv and samplers.png")
    arguments = parser.parse_args()
    folder = Path("runs/benchmarks") / arguments.benchmark
    benchmark.run(compose("benchmark", [f"benchmark={arguments.benchmark}", "cell.logger=none"]))
    points = list(judged(folder))
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "samplers.csv").open("w", newline="") as file:
        csv.writer(file).writerows([Point._fields, *points])
    picture(points, arguments.out / "samplers.png")
    print(table(points))


if __name__ == "__main__":
    main()
