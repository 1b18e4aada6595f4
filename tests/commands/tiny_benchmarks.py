"""A benchmark of two models and two seeds, too short to be any good, from a config folder of the user's own."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import command, digest

from genbench.benchmark.leaderboard import read_leaderboard

CONFIG = """
name: tiny
seeds: [1, 2]
cell:
  data: digits
  protocol: quick
  features: digits
  trainer: cpu
  budget: {images: 256, batch_size: 64}
  training: {log_every: 64, checkpoint_every: 128}
models:
  one: {model: vae, model.channels: [8, 16]}
  two: {model: dcgan, model.channels: [8, 16], optimizer: {lr: 1e-3}}
"""
CELLS = ("one-s1", "one-s2", "two-s1", "two-s2")

Benchmark = Callable[..., Path]


def run_tiny(own_conf: Path, monkeypatch: pytest.MonkeyPatch, folder: Path, *overrides: str) -> Path:
    monkeypatch.setattr(sys, "argv", ["genbench", "--config-dir", str(own_conf)])
    command("benchmark", "benchmark=tiny", "cell.logger=none", f"out={folder}", *overrides)
    return folder


def rows_of(folder: Path) -> dict[str, Any]:
    return {row["model"]: row for row in read_leaderboard(folder)}


def statuses(folder: Path) -> list[tuple[str, str, list[int]]]:
    rows = [row for row in read_leaderboard(folder) if row["family"] != "control"]
    return sorted((row["model"], row["status"], row["seeds"]) for row in rows)


def without_paths(folder: Path) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key not in ("run", "runs")} for row in read_leaderboard(folder)
    ]


def weights(folder: Path, cell: str) -> str:
    return digest(folder / "cells" / cell / "weights.safetensors")
