"""Where and with what a run was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "genbench",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "diffusers",
    "hydra-core",
    "torch-fidelity",
    "torchmetrics",
    "numpy",
    "scikit-learn",
    "transformers",
    "wandb",
)


def manifest(seed: int, data: str, images: Mapping[str, str]) -> dict[str, Any]:
    """Versions, git state, machine, command, seed, and the data's name and fingerprints of images, as JSON values."""
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": " ".join(["genbench", os.environ.get("GENBENCH_COMMAND", ""), *sys.argv[1:]]),
        "seed": seed,
        "data": {"name": data, **images},
        "versions": {"python": platform.python_version(), **_versions()},
        "git": git_state(Path(__file__).parent),
        "machine": machine(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether tracked files differ from it, when genbench runs from a checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "modified": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict[str, Any]:
    """Processor, cores, threads, memory in GiB and accelerator."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(memory, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
