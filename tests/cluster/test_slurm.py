"""`hydra/launcher=slurm` on a real SLURM: arrays, failures, several nodes, preemption, time limits, cancelling."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.run import Run
from genbench.training.checkpoint import newest
from genbench.training.jsonl import read_log

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TINY = ("budget.images=640", "logger=none", "protocol=quick", "training.log_every=128", "model.channels=[8,16]")
DEADLINE = 400.0

Submit = Callable[..., subprocess.Popen[str]]
Ask = Callable[..., str]


@pytest.fixture
def submit(slurm: dict[str, str], tmp_path: Path) -> Submit:
    """Starts `genbench train -m hydra/launcher=slurm` in the test's folder."""

    def make(*overrides: str, command: str = "train") -> subprocess.Popen[str]:
        sweep = ["-m"] if command == "train" else []
        own = ["hydra/launcher=slurm", "hydra.launcher.partition=main", "hydra.sweep.dir=sweep"]
        return subprocess.Popen(
            [sys.executable, "-m", "genbench", command, *sweep, *own, *overrides],
            cwd=tmp_path,
            env=os.environ | slurm | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return make


@pytest.fixture
def ask(slurm: dict[str, str]) -> Ask:
    """What a command of SLURM says."""
    return lambda *command: (
        subprocess.run(command, env=os.environ | slurm, check=True, capture_output=True, text=True).stdout
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=DEADLINE)
    return process.returncode, err


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + DEADLINE
    while not path.is_file():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < give_up
        time.sleep(0.05)


def resumes(run: Run) -> list[int]:
    """The image counts at which a run was resumed."""
    lines = map(json.loads, run.log.read_text().splitlines())
    return [line["images"] for line in lines if line.get("event") == "resume"]


def test_a_cell_that_fails_is_failed_for_slurm_and_the_next_submission_runs_only_what_is_missing(
    submit: Submit, ask: Ask, tmp_path: Path
) -> None:
    command = [*TINY, "model=vae", "optimizer.lr=0.001,1e+30", "training.clip=null", "trainer=cpu"]
    code, err = finished(submit(*command))
    assert code == 1
    array = re.search(r"2 jobs in array (\d+)", err)
    assert array, err
    assert "job 0 (optimizer.lr=0.001): done" in err
    told = re.search(r"job 1 \(optimizer.lr=1e\+30\) is FAILED for SLURM \(\d+_1\); .* ends:\n((?:    .*\n)+)", err)
    assert told, err
    assert re.search(r"error: .* is \S+ at \d+ images seen; training stopped", told[1])
    assert "Traceback" not in told[1]
    states = ask("squeue", "--noheader", "--array", "--states=all", f"--jobs={array[1]}", "--format=%i %T").split("\n")
    assert set(filter(None, states)) == {f"{array[1]}_0 COMPLETED", f"{array[1]}_1 FAILED"}

    (run,) = (Run.open(path.parent) for path in tmp_path.glob("runs/digits/*/training.json"))
    before = run.weights.stat().st_mtime_ns
    code, err = finished(submit(*command))
    assert code == 1
    assert run.weights.stat().st_mtime_ns == before


def test_a_job_of_two_nodes_trains_one_model(submit: Submit, tmp_path: Path) -> None:
    common = [*TINY, "model=vae", "trainer=ddp_cpu"]
    nodes = ["trainer.devices=1", "trainer.num_nodes=2", "hydra.launcher.nodes=2", f"run_dir={tmp_path / 'wide'}"]
    code, err = finished(submit(*common, *nodes))
    assert code == 0, err
    alone = [*TINY, "model=vae", "trainer=cpu", f"run_dir={tmp_path / 'alone'}"]
    train(compose("train", alone))
    wide, narrow = (load_file(tmp_path / name / "weights.safetensors") for name in ("wide", "alone"))
    for name, value in wide.items():
        torch.testing.assert_close(value, narrow[name], rtol=1e-3, atol=1e-4)
    images = [record["images"] for record in read_log(tmp_path / "wide" / "log.jsonl")]
    assert images == [record["images"] for record in read_log(tmp_path / "alone" / "log.jsonl")]


LONG = ("logger=none", "training.checkpoint_every=512", "model=vae")
WIDE = (
    "trainer=ddp_cpu",
    "trainer.devices=1",
    "trainer.num_nodes=2",
    "hydra.launcher.nodes=2",
    "hydra.launcher.time=60",
)


def test_a_preempted_job_of_two_nodes_goes_on_to_the_same_weights(submit: Submit, ask: Ask, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    process = submit(*LONG, "budget.images=48000", *WIDE, "hydra.launcher.signal_delay_s=60", f"run_dir={run.path}")
    wait_for(run.checkpoint, process)
    ask("sbatch", "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    code, err = finished(process)
    assert code == 0, err
    (at,) = resumes(run)
    assert at > 0
    straight = Run(tmp_path / "straight")
    code, err = finished(submit(*LONG, "budget.images=48000", *WIDE, f"run_dir={straight.path}"))
    assert code == 0, err
    assert resumes(straight) == []
    assert run.weights.read_bytes() == straight.weights.read_bytes()


def test_a_job_out_of_time_is_saved_and_requeued_until_it_is_done(submit: Submit, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    # told to save some seconds after its start, of the shortest time there is
    short = ["hydra.launcher.time=1", "hydra.launcher.signal_delay_s=40"]
    code, err = finished(submit(*LONG, "budget.images=64000", "trainer=cpu", *short, f"run_dir={run.path}"))
    assert code == 0, err
    assert run.summary["images"] == 64000
    assert resumes(run)
    images = [record["images"] for record in read_log(run.log)]
    assert images == sorted(images)


def test_a_trial_out_of_time_that_may_not_come_back_is_left_open(submit: Submit, tmp_path: Path) -> None:
    search = ["hydra/sweeper=optuna", "hydra.sweeper.study=s", "hydra.sweeper.n_trials=1", "optimizer.lr=1e-3,1e-4"]
    short = ["hydra.launcher.time=1", "hydra.launcher.signal_delay_s=40"]
    once = "hydra.launcher.additional_parameters.requeue=false"
    code, err = finished(
        submit(*search, *LONG, "budget.images=10000000", "protocol=quick", "trainer=cpu", *short, once)
    )
    assert code == 1
    assert "trial 0 was stopped: " in err
    (trial,) = json.loads((tmp_path / "runs" / "sweeps" / "s" / "study.json").read_text())["trials"]
    assert trial["state"] == "running"
    assert "is FAILED for SLURM" in trial["reason"]


def test_a_cancelled_job_is_told_and_can_go_on_from_where_it_was(submit: Submit, ask: Ask, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    # no checkpoint is due: what there is was saved at the signal
    long = ["logger=none", "training.checkpoint_every=1000000", "training.log_every=128", "model=vae"]
    process = submit(*long, "budget.images=200000", "trainer=cpu", f"run_dir={run.path}")
    wait_for(run.log, process)
    assert not run.checkpoint.exists()
    ask("scancel", "--user=root", "--partition=main")
    code, err = finished(process)
    assert code == 1
    assert "is CANCELLED for SLURM" in err
    assert not run.finished
    (log,) = tmp_path.glob("sweep/slurm/*/*_log.err")
    (at,) = re.findall(r"SIGTERM: saved at (\d+) images", log.read_text())
    assert newest(run.checkpoint, run.previous)["genbench"]["images_seen"] == int(at) > 0
