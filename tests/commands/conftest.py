"""Tiny real runs and benchmarks that the command tests share."""

import functools
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_benchmarks import CONFIG, Benchmark, run_tiny
from tiny_runs import TINY, Train

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.run import Run
from genbench.training.checkpoint import ResumeCheckpoint


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


@pytest.fixture
def unplug(tiny: Train, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A training that ends without a word right after a number of checkpoints: `unplug(2, "vae", folder="cut")`."""

    def make(saves: int, model: str, *overrides: str, **kwargs: str) -> None:
        save, done = ResumeCheckpoint.save, []

        def save_and_count(self: ResumeCheckpoint, trainer, module) -> None:
            save(self, trainer, module)
            done.append(module.images_seen)
            if len(done) == saves:
                raise RuntimeError("pulled the plug")

        with monkeypatch.context() as patch:
            patch.setattr(ResumeCheckpoint, "save", save_and_count)
            with pytest.raises(RuntimeError, match="plug"):
                tiny(model, *overrides, **kwargs)

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """A finished run of two batches that no test changes, trained once: `finished("vae", "seed=2")`."""

    @functools.cache
    def make(model: str, *overrides: str) -> Run:
        folder = tmp_path_factory.mktemp("finished") / model
        return train(compose("train", [f"model={model}", *TINY, "budget.images=128", *overrides, f"run_dir={folder}"]))

    return make


@pytest.fixture(scope="session")
def captioned(finished: Train) -> Path:
    """The folder of a finished run that draws what captions say."""
    small = ("data=shapes", "data.train_images=256", "data.test_images=64", "text_encoder=bag_of_words")
    return finished("text_to_image", *small, "features=pixels").path


@pytest.fixture(scope="session")
def own_conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's config folder with a benchmark of their own."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "benchmark").mkdir()
    (folder / "benchmark" / "tiny.yaml").write_text(CONFIG)
    return folder


@pytest.fixture
def tiny_benchmark(own_conf: Path, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """Runs the tiny benchmark into a folder: `tiny_benchmark(folder, "benchmark.seeds=[1]")`."""
    return lambda folder, *overrides: run_tiny(own_conf, monkeypatch, folder, *overrides)


@pytest.fixture(scope="session")
def whole(own_conf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark of two models and two seeds, previews included, that no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        return run_tiny(own_conf, patch, tmp_path_factory.mktemp("whole") / "b", "+cell.training.preview_every=128")


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy of the finished benchmark in another place."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))
