"""A training that is killed, interrupted or out of disk space goes on as if nothing had happened."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from tiny_runs import Train, curves, digest

from genbench.core import RunError, files
from genbench.run import Run
from genbench.training.checkpoint import read
from genbench.training.jsonl import read_log

LONG = (
    *("budget.images=1920", "budget.batch_size=16", "training.preview_every=960", "training.select=fd"),
    "sampler.steps=4",
)
"""Steps enough for a signal to find the training at work, of which the best of two checkpoints is kept."""
DEADLINE = 240.0


@pytest.fixture
def start() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts a training in a process of its own: `start(run_dir)`; none outlives the test."""
    processes = []

    def make(folder: Path) -> subprocess.Popen[str]:
        arguments = ["train", "model=ddpm", "protocol=quick", "training.log_every=128", *LONG]
        command = [sys.executable, "-m", "genbench", *arguments, "training.checkpoint_every=96", f"run_dir={folder}"]
        processes.append(
            subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        )
        return processes[-1]

    yield make
    for process in processes:
        process.kill()
        process.communicate()


def signal_after_a_checkpoint(process: subprocess.Popen[str], run: Run, number: int) -> None:
    """Sends a signal as soon as the process has written a checkpoint."""
    before = changed(run.checkpoint)
    give_up = time.monotonic() + DEADLINE
    while changed(run.checkpoint) == before:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < give_up
        time.sleep(0.002)
    process.send_signal(number)


def changed(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.is_file() else None


def resumes(run: Run) -> Sequence[str]:
    return [line for line in run.log.read_text().splitlines() if '"event": "resume"' in line]


@pytest.mark.slow
def test_killed_then_interrupted_then_left_alone_equals_undisturbed(start, tiny: Train, tmp_path: Path) -> None:
    straight = tiny("ddpm", *LONG, folder="straight")
    run = Run(tmp_path / "hunted")

    killed = start(run.path)
    signal_after_a_checkpoint(killed, run, signal.SIGKILL)
    assert killed.wait(DEADLINE) == -signal.SIGKILL
    assert not run.finished

    interrupted = start(run.path)
    signal_after_a_checkpoint(interrupted, run, signal.SIGINT)
    _, err = interrupted.communicate(timeout=DEADLINE)
    assert interrupted.returncode == 130
    assert err.rstrip().endswith("interrupted")
    assert "Traceback" not in err
    assert not run.finished
    assert len(resumes(run)) == 1

    tiny("ddpm", *LONG, folder="hunted")
    assert digest(run.weights) == digest(straight.weights)
    assert run.summary["selected"] == straight.summary["selected"]
    assert straight.summary["selected"]["tried"] == 2
    assert len(resumes(run)) == 2
    assert not run.checkpoint.exists()

    # the record reads as if nothing had happened, but for the time it took
    assert curves(run) == curves(straight)
    assert sorted(p.name for p in run.samples.iterdir()) == sorted(p.name for p in straight.samples.iterdir())
    assert len(list(run.path.glob("wandb/offline-run-*"))) == 2


def test_a_disk_that_fills_up_while_previewing_is_told_and_the_training_resumed(
    tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, run = ("training.preview_every=320", "training.checkpoint_every=128"), Run(tmp_path / "full")
    fsync = files.os.fsync

    def full(descriptor: int) -> None:
        if run.samples.exists():
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(RunError, match=r"cannot write .*0000000320\.png: No space left on device"):
            tiny("vae", *options, folder="full")
    assert list(run.samples.iterdir()) == []
    assert run.checkpoint.is_file()
    assert digest(tiny("vae", *options, folder="full").weights) == digest(tiny("vae", folder="straight").weights)
    assert {path.name for path in run.samples.iterdir()} == {"0000000320.png", "0000000640.png"}


def test_killed_when_all_is_trained_a_training_records_its_end_once(
    tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the end is a multiple of what is between checkpoints, but not of what is between records
    every = ("training.log_every=500", "training.checkpoint_every=128")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "finish", lambda *_: pull())
        with pytest.raises(RuntimeError, match="plug"):
            tiny("vae", *every)
    assert [record["images"] for record in read_log(tiny("vae", *every).log)] == [512, 640]


def pull() -> None:
    raise RuntimeError("pulled the plug")


def test_another_kind_of_device_is_told_before_it_goes_on(
    tiny: Train, unplug: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    every = "training.checkpoint_every=128"
    unplug(2, "vae", every)
    path = Run(tmp_path / "run").checkpoint
    state = torch.load(path, weights_only=True)
    state["genbench"]["rng"]["cuda"] = torch.zeros(16, dtype=torch.uint8)
    torch.save(state, path)
    tiny("vae", every)
    assert "it was trained on cuda so far and goes on on cpu: the same images in the same order, but other noise" in (
        caplog.text
    )


def test_a_clock_that_is_set_back_between_and_during_trainings_changes_nothing(
    tiny: Train, unplug: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = ("training.checkpoint_every=128", "training.preview_every=256")
    whole = tiny("vae", *every, folder="whole")
    clock = iter(range(1_700_000_000, 0, -1_000_000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    unplug(2, "vae", *every, folder="cut")
    run = tiny("vae", *every, folder="cut")
    assert next(clock) < 1_699_000_000  # it was read
    assert digest(run.weights) == digest(whole.weights)
    assert 0.0 < run.summary["seconds"] < 60.0
    seconds = [record["seconds"] for record in read_log(run.log) if "seconds" in record]
    assert seconds == sorted(seconds)
    assert all(second >= 0.0 for second in seconds)


def test_checkpoints_that_are_kept_for_good_take_a_run_back_to_them(tiny: Train, unplug, tmp_path: Path) -> None:
    kept = ("training.checkpoint_every=192", "training.keep_every=128")
    straight = tiny("vae", *kept, folder="straight")
    unplug(5, "vae", *kept, folder="run")  # at 128, 192, 256, 384, 512
    run = Run(tmp_path / "run")
    every = {path.name: read(path)["genbench"]["images_seen"] for path in (run.path / "checkpoints").iterdir()}
    assert every == {f"{images:010d}.ckpt": images for images in (128, 256, 384, 512)}
    shutil.copy(run.path / "checkpoints" / "0000000256.ckpt", run.checkpoint)
    tiny("vae", *kept, folder="run")
    assert [json.loads(line)["images"] for line in resumes(run)] == [256]
    assert digest(run.weights) == digest(straight.weights)
    assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == sorted([*every, "0000000640.ckpt"])
