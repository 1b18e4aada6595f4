"""Tiny real runs that the command tests share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.run import Run

Train = Callable[..., Run]

TINY = ("budget.images=640", "logger=none", "protocol=quick", "training.log_every=128")


@pytest.fixture
def tiny(tmp_path: Path) -> Train:
    """Trains a tiny run: `tiny("vae", "seed=2", folder="x")`."""

    def make(model: str, *overrides: str, folder: str = "run") -> Run:
        return train(compose("train", [f"model={model}", *TINY, *overrides, f"run_dir={tmp_path / folder}"]))

    return make


@pytest.fixture(scope="session")
def vae_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished VAE run that no test changes."""
    folder = tmp_path_factory.mktemp("runs") / "vae"
    return train(compose("train", ["model=vae", *TINY, f"run_dir={folder}"]))


def command(name: str, overrides: Sequence[str]) -> None:
    """Runs a command's body as its Hydra application would."""
    import importlib

    importlib.import_module(f"genbench.app.commands.{name}").run(compose(name, overrides))
