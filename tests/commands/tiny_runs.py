"""How the command tests make runs: real ones, too short to be any good."""

import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path

from genbench.app.compose import compose
from genbench.run import Run
from genbench.training.jsonl import read_log

Train = Callable[..., Run]

FAMILIES = ("vae", "dcgan", "pixel_gpt", "ddpm")
TINY = ("budget.images=640", "logger=none", "protocol=quick", "training.log_every=128")
LATENT = ("first_stage=run", "backbone=dit_digits", "backbone.patch=1", "sampler.steps=3")


def command(name: str, *overrides: str) -> None:
    """Runs a command's body as its Hydra application would."""
    importlib.import_module(f"genbench.app.commands.{name}").run(compose(name, overrides))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def curves(run: Run) -> list[dict[str, float]]:
    """A run's records without what clocks and memory have to do with."""
    clocks = ("time", "seconds", "images_per_second", "mfu", "peak_memory_gib")
    return [
        {key: value for key, value in record.items() if key not in clocks and not key.startswith("time/")}
        for record in read_log(run.log)
    ]


def files(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file below a folder with its content's digest and its time of change; locks left out."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock"))
    return {str(p.relative_to(folder)): (digest(p), p.stat().st_mtime_ns) for p in found}
