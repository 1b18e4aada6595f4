"""Shared by the tests of the command line."""

import copy
import functools
import logging
import sys
import types

import pytest
from omegaconf import OmegaConf

from genbench.app.compose import compose


@pytest.fixture(autouse=True)
def _process_state(monkeypatch):
    """Hydra configures logging, and the command line its environment, for a process of their own."""
    monkeypatch.setattr(sys, "argv", ["genbench"])
    monkeypatch.setenv("GENBENCH_COMMAND", "")
    monkeypatch.delenv("GENBENCH_COMMAND")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def command(monkeypatch, tmp_path):
    """`command(name, run)`: puts `run(config)` in the place of a command, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def replace(name, run):
        module = types.ModuleType(f"genbench.app.commands.{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return replace


@pytest.fixture(scope="session")
def train():
    """`train(*overrides)`: the resolved config of `genbench train`, composed once for each set of overrides."""

    @functools.cache
    def composed(overrides):
        return OmegaConf.to_container(compose("train", overrides), resolve=True)

    return lambda *overrides: copy.deepcopy(composed(overrides))
