"""Tiny real runs that the command tests share."""

import functools
import logging
import sys

import pytest
from tiny_runs import TINY, Train

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.run import Run


@pytest.fixture(autouse=True)
def _process_state(monkeypatch: pytest.MonkeyPatch):
    """Commands read the command line and configure logging as if the process were their own."""
    monkeypatch.setattr(sys, "argv", ["genbench"])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def tiny(tmp_path) -> Train:
    """Trains a tiny run: `tiny("vae", "seed=2", folder="x")`."""

    def make(model: str, *overrides: str, folder: str = "run") -> Run:
        return train(compose("train", [f"model={model}", *TINY, *overrides, f"run_dir={tmp_path / folder}"]))

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """A finished run of two batches that no test changes, trained once: `finished("vae", "seed=2")`."""

    @functools.cache
    def make(model: str, *overrides: str) -> Run:
        folder = tmp_path_factory.mktemp("finished") / model
        return train(compose("train", [f"model={model}", *TINY, "budget.images=128", *overrides, f"run_dir={folder}"]))

    return make
