"""W&B beside a training: what it is told, that runs are kept apart, and that nothing depends on it."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import wandb
from PIL import Image
from wandb_reader import read_offline_runs

from genbench.app import judged
from genbench.app.commands.train import run as run_command
from genbench.app.compose import compose
from genbench.app.judging import read_result
from genbench.app.training import train
from genbench.core.grid import image_grid
from genbench.run import Run
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.jsonl import read_log
from genbench.training.preview import _log
from genbench.training.wandb import WandbLogger

TINY = ("model=vae", "model.channels=[8,16]", "budget.images=256", "training.log_every=64", "protocol=quick")

TrainTiny = Callable[..., Run]


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Neither a key of the user's nor a run left open by another test."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    yield
    assert wandb.run is None


@pytest.fixture
def tiny(tmp_path: Path) -> TrainTiny:
    """Trains a tiny VAE: `tiny("folder", "seed=2")`."""

    def make(folder: str, *overrides: str, judge: Callable[[Run], dict[str, Any]] | None = None) -> Run:
        return train(compose("train", [*TINY, *overrides, f"run_dir={tmp_path / folder}"]), judge)

    return make


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def plain_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the tiny training ends in without W&B."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    return digest(train(compose("train", [*TINY, "logger=none", f"run_dir={folder}"])).weights)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "genbench.training.wandb"]


def test_a_run_is_told_everything(tiny: TrainTiny, plain_weights: str) -> None:
    told = ("group=demo", "tags=[a,b c]", "logger.project=mine", "training.preview_every=128")
    run = tiny("named", *told, judge=lambda run: {"final/fd": 1.5, "final/bits_per_dim": None, "final/protocol": "p"})
    (segment,) = read_offline_runs(run.path)
    assert (segment.name, segment.group, segment.project) == ("named", "demo", "mine")
    assert sorted(segment.tags) == ["a", "b c"]
    assert segment.exit_code == 0
    assert segment.config["seed"] == 0
    assert segment.config["budget"] == {"images": 256, "flops": None, "seconds": None, "batch_size": 64}
    assert segment.config["model"]["spec"]["num_classes"] == 10

    assert segment.axes == {"*": "images"}
    ours = [{k: v for k, v in row.items() if not k.startswith("_")} for row in segment.history]
    metrics = [row for row in ours if "samples/filenames" not in row]
    assert metrics == [{k: v for k, v in row.items() if k != "time"} for row in read_log(run.log) if "event" not in row]
    assert [row["images"] for row in metrics if "loss" in row] == [64, 128, 192, 256]
    assert segment.summary["final/fd"] == 1.5
    assert segment.summary["final/bits_per_dim"] is None
    assert segment.summary["loss"] == metrics[-2]["loss"]

    sheets = [row for row in segment.history if "samples/filenames" in row]
    assert [row["images"] for row in sheets] == [128, 256]
    for row in sheets:
        (path,) = segment.media(row, "samples")
        with Image.open(path) as logged, Image.open(run.samples / f"{row['images']:010d}.png") as kept:
            assert logged.size == kept.size
            assert logged.convert("L").tobytes() == kept.convert("L").tobytes()
    assert digest(run.weights) == plain_weights


def test_every_training_has_a_run_of_its_own(tiny: TrainTiny) -> None:
    runs = [tiny(name, "budget.images=64", f"seed={seed}") for seed, name in enumerate(("a", "b"))]
    segments = [read_offline_runs(run.path) for run in runs]
    assert [len(found) for found in segments] == [1, 1]
    (a,), (b,) = segments
    assert a.id != b.id
    assert [a.name, b.name] == ["a", "b"]
    assert [len(a.history), len(b.history)] == [1, 1]
    assert [(run.path / "wandb_id").read_text() for run in runs] == [a.id, b.id]


def test_a_resumed_training_continues_its_run(
    tiny: TrainTiny, plain_weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = ResumeCheckpoint.save

    def save_and_die(self, trainer, module) -> None:
        save(self, trainer, module)
        raise RuntimeError("pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(ResumeCheckpoint, "save", save_and_die)
        with pytest.raises(RuntimeError, match="plug"):
            tiny("run", "training.checkpoint_every=128")
    assert wandb.run is None
    run = tiny("run", "training.checkpoint_every=128")
    first, second = read_offline_runs(run.path)
    assert first.id == second.id
    assert [row["images"] for row in first.history] == [64, 128]
    assert [row["images"] for row in second.history] == [192, 256]
    assert digest(run.weights) == plain_weights


def test_killed_while_it_starts_a_training_goes_on_with_its_run(
    tiny: TrainTiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = wandb.init

    class Killed(BaseException):
        pass

    def init_and_die(**settings: Any) -> None:
        init(**settings).finish()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(wandb, "init", init_and_die)
        with pytest.raises(Killed):
            tiny("run")
    first, second = read_offline_runs(tiny("run").path)
    assert first.id == second.id


def test_a_score_that_was_missing_is_told_to_the_run_that_was_finished_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    config = compose("train", [*TINY, "budget.images=64", "trainer=cpu", "judge=true", f"run_dir={folder}"])

    def kill(*args: object) -> None:
        raise RuntimeError("pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(judged, "judge_run", kill)
        with pytest.raises(RuntimeError, match="plug"):
            run_command(config.copy())
    assert Run.open(folder).finished
    run_command(config.copy())
    run_command(config.copy())  # nothing is new
    trained, told = read_offline_runs(folder)
    assert told.id == trained.id
    assert "final/fd" not in trained.summary
    (result,) = (folder / "results").glob("*.json")
    assert told.summary["final/fd"] == read_result(result)["fd"]


def refuse(*args: object, **kwargs: object) -> None:
    raise wandb.errors.CommError("the server is on holiday\nand so on")


@pytest.mark.parametrize("broken", ["init", "define_metric", "log", "Image", "summary", "finish"])
def test_a_training_goes_on_without_wandb_and_says_so_once(
    broken: str, tiny: TrainTiny, plain_weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finish = wandb.Run.finish
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        if broken in ("init", "Image"):
            patch.setattr(wandb, broken, refuse)
        elif broken == "summary":
            patch.setattr("wandb.sdk.wandb_summary.Summary.update", refuse)
        elif broken == "finish":
            patch.setattr(wandb.Run, broken, lambda run, *_: (finish(run), refuse()))
        else:
            patch.setattr(wandb.Run, broken, refuse)
        previews = ["training.preview_every=256"] if broken == "Image" else []
        run = tiny("run", *previews, judge=lambda run: {"final/fd": 1.5, "final/protocol": "p"})
    assert digest(run.weights) == plain_weights
    assert [row["images"] for row in read_log(run.log) if "loss" in row] == [64, 128, 192, 256]
    (said,) = warnings_of(caplog)
    assert said.startswith("W&B is not available (the server is on holiday): training goes on without it")
    # the broken run is closed: the next training of the process is not written into it
    after = tiny("after", "budget.images=64", "seed=1")
    assert [segment.name for segment in read_offline_runs(after.path)] == ["after"]
    assert len(warnings_of(caplog)) == 1


def test_a_failure_in_the_middle_keeps_what_was_told_before(
    tiny: TrainTiny, plain_weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log, calls = wandb.Run.log, []

    def third_fails(run, values) -> None:
        calls.append(values["images"])
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        log(run, values)

    monkeypatch.setattr(wandb.Run, "log", third_fails)
    run = tiny("run")
    assert digest(run.weights) == plain_weights
    assert calls == [64, 128, 192]
    (segment,) = read_offline_runs(run.path)
    assert [row["images"] for row in segment.history] == [64, 128]
    assert ["No space left on device" in said for said in warnings_of(caplog)] == [True]


def test_online_without_a_key_goes_on_without_wandb(
    tiny: TrainTiny, plain_weights: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    run = tiny("run", "logger.mode=online", "logger.timeout=5")
    assert digest(run.weights) == plain_weights
    (said,) = warnings_of(caplog)
    assert "API key" in said


def test_online_without_a_network_goes_on_without_wandb(
    tiny: TrainTiny, plain_weights: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the port of nobody
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    run = tiny("run", "logger.mode=online", "logger.timeout=2")
    assert digest(run.weights) == plain_weights
    (said,) = warnings_of(caplog)
    assert said.startswith("W&B is not available (")


def test_a_logger_without_a_run_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    logger = WandbLogger()
    logger.log_metrics({"loss": 1.0}, step=1)
    logger.log_image("samples", [], step=1)
    logger.summarise({"fd": 1.0})
    logger.close()
    assert logger.version == ""
    assert warnings_of(caplog) == []


def test_pictures_carry_their_captions() -> None:
    logged: list[dict[str, object]] = []
    logger = WandbLogger()
    logger._run = SimpleNamespace(log=logged.append)
    images = torch.zeros(20, 1, 8, 8, dtype=torch.uint8)
    captions = [f"<b>{i}</b>" for i in range(20)]
    _log(logger, images, image_grid(images), captions, 128)
    sheet, captioned = logged
    assert [picture._caption for picture in sheet["samples"]] == [None]
    assert [picture._caption for picture in captioned["captioned"]] == captions[:16]
    assert (sheet["images"], captioned["images"]) == (128, 128)
    logged.clear()
    _log(logger, images, image_grid(images), None, 128)
    assert [set(row) for row in logged] == [{"samples", "images"}]
