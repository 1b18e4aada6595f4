"""A signal to stop, at any moment: saved at the end of the step, and the same command goes on to the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl
from tiny_runs import FAMILIES, Train, curves, digest

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.run import Run
from genbench.training import preemption
from genbench.training.checkpoint import newest
from genbench.training.preemption import Preemption
from genbench.training.progress import Progress

SIGNALS = dict(zip(FAMILIES, (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_signal_stops_goes_on_from_that_step(
    family: str, tiny: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    straight = tiny(family, folder="straight")
    update = Progress.on_train_batch_end

    def shot(self: Progress, trainer: pl.Trainer, module: pl.LightningModule, *others: object) -> None:
        update(self, trainer, module, *others)
        if module.images_seen == 192:
            os.kill(os.getpid(), SIGNALS[family])

    handlers = {each: signal.getsignal(each) for each in preemption.STOPS}
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_train_batch_end", shot)
        patch.delenv("SLURM_JOB_ID", raising=False)
        with pytest.raises(SystemExit) as stop:
            tiny(family, folder="shot")
    assert stop.value.code == 128 + SIGNALS[family]
    assert {each: signal.getsignal(each) for each in preemption.STOPS} == handlers
    run = Run(tmp_path / "shot")
    assert newest(run.checkpoint, run.previous)["genbench"]["images_seen"] == 192
    assert digest(tiny(family, folder="shot").weights) == digest(straight.weights)
    # 192 lies between the records at 128 and at 256
    assert curves(run) == curves(straight)


def test_a_signal_before_training_begins_meets_no_handler_that_would_wait_for_other_devices(
    tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, found = Preemption.on_train_start, []

    def look(self: Preemption, *others: object) -> None:
        found.append(signal.getsignal(signal.SIGTERM))
        begin(self, *others)

    monkeypatch.setattr(Preemption, "on_train_start", look)
    before = signal.getsignal(signal.SIGTERM)
    tiny("vae")
    assert found == [before]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.slow
def test_a_signal_to_all_of_a_trainings_processes_leaves_its_readers_at_work(tmp_path: Path) -> None:
    number = signal.SIGTERM
    run = Run(tmp_path / "run")
    own = ["data=shapes", "data.resident_limit=0", "training.workers=2", "budget.images=640000", "protocol=shapes"]
    common = ["model=vae", "model.conditional=false", "logger=none", "training.checkpoint_every=128", "trainer=cpu"]
    with subprocess.Popen(
        [sys.executable, "-m", "genbench", "train", *own, *common, f"run_dir={run.path}"],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not run.checkpoint.is_file():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60.0)
    assert process.returncode == 128 + number, err
    assert f"{signal.Signals(number).name}: saved at" in err
    assert "Traceback" not in err


ENDS_EARLY = """
import multiprocessing, sys
from genbench.app.build import build
from genbench.app.compose import compose
from genbench.data.loader import TrainLoader
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    table = build(compose("train", ["data=shapes", "data.resident_limit=0", "logger=none"]).data).table("train")
    batches = iter(TrainLoader(table, 16, 16_000, 0, workers=2))
    print(len(next(batches)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_readers_end_with_a_training_that_left_them_at_work(method: str, tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text(ENDS_EARLY)
    command = [sys.executable, str(tmp_path / "ends.py"), method]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120.0)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "16", "")


@pytest.mark.parametrize(
    ("number", "environment", "asked"),
    [
        (signal.SIGUSR2, {"SLURM_JOB_ID": "7"}, "requeue 7"),
        (signal.SIGUSR1, {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "1"}, "requeue 8_1"),
        (signal.SIGTERM, {"SLURM_JOB_ID": "7"}, ""),  # a job that is cancelled is not to come back
        (signal.SIGUSR2, {}, ""),
    ],
)
def test_a_job_is_put_back_into_the_queue_where_that_was_asked_for(
    number: int, environment: dict[str, str], asked: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    said.touch()
    fake = tmp_path / "bin" / "scontrol"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    for key in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(key, raising=False)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(Progress, "on_train_batch_end", lambda *_: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit):
        train(compose("train", ["model=vae", "budget=tiny", "logger=none", f"run_dir={tmp_path / 'run'}"]))
    assert said.read_text().strip() == asked
