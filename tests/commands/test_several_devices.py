"""`genbench train trainer=ddp_cpu`: a process for each device, as one training to whoever looks."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from tiny_runs import TINY, Train, curves, digest

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.core import ConfigError
from genbench.run import Run

LONG = ("budget.batch_size=16", "training.preview_every=320", "training.select=fd", "sampler.steps=4")
DEADLINE = 300.0


def start(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    """A training of a tiny ddpm on two devices, in processes of its own."""
    tiny = [override for override in TINY if override != "logger=none"]
    arguments = ["train", "model=ddpm", *tiny, *LONG, "training.checkpoint_every=96", "trainer=ddp_cpu", *overrides]
    return subprocess.Popen(
        [sys.executable, "-m", "genbench", *arguments, f"run_dir={folder}"],
        cwd=folder.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(parent: int) -> list[int]:
    """The processes that a process has started, in order."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent and b"genbench" in (stat.parent / "cmdline").read_bytes():
            found.append(int(stat.parent.name))
    return sorted(found)


def wait_for_checkpoint(run: Run, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + DEADLINE
    while not run.checkpoint.is_file():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < give_up
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_one_device_that_dies_ends_the_others_and_the_same_command_goes_on(tiny: Train, tmp_path: Path) -> None:
    straight = start(tmp_path / "straight")
    out, err = straight.communicate(timeout=DEADLINE)
    assert straight.returncode == 0, err
    assert out.count("640 images in") == 1

    run = Run(tmp_path / "hunted")
    hunted = start(run.path)
    wait_for_checkpoint(run, hunted)
    os.kill(children(hunted.pid)[-1], signal.SIGKILL)
    _, err = hunted.communicate(timeout=60.0)
    assert hunted.returncode == 1
    assert "of 2 was killed by SIGKILL, as where memory runs out, and the others were stopped" in err
    assert "Traceback" not in err
    assert not run.finished

    resumed = start(run.path)
    _, err = resumed.communicate(timeout=DEADLINE)
    assert resumed.returncode == 0, err
    assert err.count("resuming") == 1
    assert digest(run.weights) == digest(Run(tmp_path / "straight").weights)
    assert run.summary["selected"] == Run(tmp_path / "straight").summary["selected"]
    # two W&B runs of one id, as of a training on one device
    assert len(list(run.path.glob("wandb/offline-run-*"))) == 2
    assert curves(run) == curves(Run(tmp_path / "straight"))

    alone = load_file(tiny("ddpm", *LONG, folder="alone").weights)
    for name, value in load_file(run.weights).items():
        torch.testing.assert_close(value, alone[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_signal_to_stop_has_the_devices_save_and_is_told_as_one(tmp_path: Path) -> None:
    number = signal.SIGUSR2  # that torch's launcher must be told to pass on
    run = Run(tmp_path / "run")
    stopped = start(run.path, "budget.images=640000")
    wait_for_checkpoint(run, stopped)
    stopped.send_signal(number)
    _, err = stopped.communicate(timeout=60.0)
    assert stopped.returncode == 128 + number
    assert f"{number.name}: saved at" in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_devices_whose_launcher_was_killed_save_and_leave_the_run_to_the_next(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    killed = start(run.path, "budget.images=640000")
    wait_for_checkpoint(run, killed)
    ranks = children(killed.pid)
    assert len(ranks) == 2
    killed.kill()
    _, err = killed.communicate(timeout=60.0)  # its processes have the same stderr, which ends when they do
    assert "SIGTERM: saved at" in err
    give_up = time.monotonic() + 30.0
    while any(Path(f"/proc/{rank}").exists() for rank in ranks):
        assert time.monotonic() < give_up
        time.sleep(0.1)
    with FileLock(run.path / ".lock", timeout=0):
        pass


@pytest.mark.slow
def test_another_number_of_devices_goes_on_and_says_what_is_no_longer_equal(
    tiny: Train, unplug, tmp_path: Path
) -> None:
    unplug(1, "ddpm", *LONG, "training.checkpoint_every=96", "trainer=cpu")
    process = start(tmp_path / "run")
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    assert "it was trained on 1 devices so far and goes on with 2" in err
    there, alone = (
        load_file(path) for path in (tmp_path / "run/weights.safetensors", tiny("ddpm", *LONG, folder="x").weights)
    )
    for name, value in there.items():
        torch.testing.assert_close(value, alone[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_nothing_is_broadcast_between_batches(tmp_path: Path) -> None:
    worker = Path(__file__).with_name("broadcast_worker.py")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", str(worker), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in (0, 1):
        counts = (tmp_path / f"rank{rank}").read_text().split()
        assert len(counts) == 10
        assert len(set(counts)) == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["trainer=ddp_cpu", "budget.batch_size=15"],
            "by 2 devices: use budget.batch_size=16",
        ),
        (["trainer=ddp_cpu", "budget.images=641"], "by 2 devices: use budget.images=642"),
        (
            ["trainer=ddp_cpu", "trainer.devices=4096", "budget.batch_size=4096", "budget.images=4096"],
            "trainer.devices=4096: this machine has",
        ),
        (["trainer=cpu", "trainer.devices=0"], "trainer.devices=0: give how many, 1 or more, a list of their numbers"),
        (["trainer=ddp_cpu", "trainer.devices=two"], "trainer.devices=two: give how many"),
        (["trainer=ddp_cpu", "trainer.devices=[0,0]"], "give how many, 1 or more, a list of their numbers, or -1"),
        (
            ["trainer=cpu", "trainer.devices=2"],
            "several devices need trainer=ddp, fsdp or ddp_cpu",
        ),
        (
            ["trainer=ddp_cpu", "trainer.num_nodes=2"],
            "trainer.devices=2 trainer.num_nodes=2 needs 4 processes, and there are 1: use hydra/launcher=slurm "
            "hydra.launcher.nodes=2 hydra.launcher.ntasks_per_node=2, srun or torchrun",
        ),
        (["trainer=ddp_cpu", "trainer.num_nodes=3"], "by 6 devices: use budget.batch_size=66"),
        (["trainer=ddp_cpu", "trainer.num_nodes=0"], "trainer.num_nodes=0: give a number of machines, 1 or more"),
        (["trainer=cpu", "+trainer.num_nodes=2"], "trainer.num_nodes=2: several devices need trainer=ddp"),
    ],
)
def test_what_cannot_be_shared_names_the_fix(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        train(compose("train", ["model=vae", *TINY, *overrides, f"run_dir={tmp_path / 'run'}"]))
    assert list(tmp_path.iterdir()) == []
