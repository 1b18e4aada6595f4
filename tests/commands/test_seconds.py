"""A budget in seconds: the images it pays for are measured once, kept, and no part of what tells two runs apart."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_benchmarks import Benchmark, rows_of
from tiny_runs import TINY, digest

from genbench.app import throughput
from genbench.app.compose import compose
from genbench.app.training import train
from genbench.core import ConfigError, RunError
from genbench.identity import recipe_hash
from genbench.run import Run
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.module import TrainingModule

Speed = Callable[[float], None]
SECONDS = (*(option for option in TINY if not option.startswith("budget")), "budget=seconds")


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Speed:
    """Sets the clock: so many images a second, but the first three batches take five seconds each."""

    def make(rate: float) -> None:
        def elapsed(self: TrainingModule) -> float:
            return 5.0 * min(self.images_seen // 64, 3) + self.images_seen / rate

        monkeypatch.setattr(TrainingModule, "elapsed", elapsed)

    return make


def run_for(seconds: float, folder: Path, *overrides: str) -> Run:
    command = ["model=vae", *SECONDS, f"budget.seconds={seconds}", f"run_dir={folder}", *overrides]
    return train(compose("train", command))


def test_images_are_the_speed_after_the_first_batches_times_the_seconds(speed: Speed, tmp_path: Path) -> None:
    speed(100.0)
    run = run_for(7.5, tmp_path / "run")
    assert run.summary["images"] == run.config.budget.images == 704  # 750 in whole batches of 64
    assert (run.config.budget.seconds, run.config.budget.flops) == (7.5, None)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_weights_are_those_of_the_same_number_of_images(speed: Speed, tmp_path: Path) -> None:
    """So nothing of the measuring is left in the training, and the learning rate comes to the end of its schedule."""
    speed(100.0)
    run = run_for(4.0, tmp_path / "run")
    plain = [option.replace("=640", "=384") for option in TINY]
    again = train(compose("train", ["model=vae", *plain, f"run_dir={tmp_path / 'plain'}"]))
    assert digest(run.weights) == digest(again.weights)


def test_an_interrupted_run_goes_on_with_the_images_first_measured(
    speed: Speed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = "training.checkpoint_every=128"
    speed(100.0)
    straight = run_for(4.0, tmp_path / "straight", saves)
    save = ResumeCheckpoint.save

    def save_and_die(self: ResumeCheckpoint, trainer: Any, module: Any) -> None:
        save(self, trainer, module)
        raise RuntimeError("pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(ResumeCheckpoint, "save", save_and_die)
        with pytest.raises(RuntimeError, match="plug"):
            run_for(4.0, tmp_path / "cut", saves)
    speed(500.0)  # the machine has become faster
    for _ in ("resumed", "found finished"):
        run = run_for(4.0, tmp_path / "cut", saves)
        assert run.summary["images"] == 384
        assert digest(run.weights) == digest(straight.weights)


def test_identity_has_the_seconds_and_not_the_images(
    speed: Speed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    speed(100.0)
    command = ["model=vae", *SECONDS, "budget.seconds=2"]
    run = train(compose("train", command))
    monkeypatch.setattr(throughput, "images_per_second", None)  # measures no more
    assert train(compose("train", command)).path == run.path
    with pytest.raises(RunError, match=r"differs in budget\.seconds: 2 there, 3 here"):
        run_for(3, run.path)
    config = {"budget": {"images": 128, "seconds": 60.0}}
    assert recipe_hash(config, None) == recipe_hash({"budget": {"images": None, "seconds": 60.0}}, None)
    assert recipe_hash(config, None) != recipe_hash({"budget": {"images": 128, "seconds": 61.0}}, None)


def test_the_learning_rate_ends_where_its_schedule_does(
    speed: Speed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress: list[float] = []
    step = TrainingModule.training_step

    def note(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        done = step(self, batch, batch_idx)
        (group,) = self.optimizers().param_groups
        progress.append(group["lr"] / group["base_lr"])
        return done

    monkeypatch.setattr(TrainingModule, "training_step", note)
    speed(100.0)
    run_for(4.0, tmp_path / "run", "lr_scheduler=cosine", "lr_scheduler.warmup=0")
    # six batches, of which the last starts five sixths through half a cosine
    assert progress[-6] == 1.0
    assert progress[-1] == pytest.approx(0.5 * (1 - 3**0.5 / 2))


def test_less_than_a_batch_names_the_least(speed: Speed, tmp_path: Path) -> None:
    speed(100.0)
    message = "budget.seconds=0.5 is less than one batch of 64 images takes: give at least budget.seconds=0.64"
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_for(0.5, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_benchmark_gives_every_family_the_same_time(speed: Speed, tiny_benchmark: Benchmark, tmp_path: Path) -> None:
    speed(5.0)
    folder = tiny_benchmark(tmp_path, "benchmark.seeds=[1]", "+cell.budget=seconds")
    rows = rows_of(folder)
    for name in ("one", "two"):
        assert (rows[name]["images"], rows[name]["budget_seconds"]) == (256, 60.0)
        assert rows[name]["train_seconds"] == 15.0 + 256 / 5
    note = "Equal time: every model was given 60 s of training, which took them 66.2 to 66.2 s."
    assert note in (folder / "leaderboard.md").read_text()
