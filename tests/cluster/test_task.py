"""What a task of a job does to its process, and how many of them a job needs."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from submitit.core.job_environment import SignalHandler
from submitit.core.utils import DelayedSubmission, JobPaths
from submitit.slurm.slurm import SlurmJobEnvironment

from genbench.app.cli import COMMAND_VARIABLE
from genbench.app.launch import check_tasks, join_srun
from genbench.app.paths import conf_dir
from genbench.cluster import slurm
from genbench.cluster.job import Job
from genbench.cluster.slurm import run_slurm
from genbench.cluster.time_limit import minutes
from genbench.core import ConfigError
from hydra_plugins.genbench_launchers import SlurmLauncher

CODE = """
import atexit, os, signal, sys
from genbench.cluster.slurm import Task
signal.signal(signal.SIGUSR2, lambda number, frame: os._exit(3))
Task(["list", "metric"])()
atexit.register(os.kill, os.getpid(), signal.SIGUSR2)
"""


def test_a_signal_to_save_does_not_reach_a_task_that_is_done() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fid" in done.stdout


def test_steps_that_share_a_node_meet_at_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = set()
    for job, step in ((7, 0), (7, 1), (8, 0)):
        task = {"SLURM_JOB_ID": job, "SLURM_STEP_ID": step, "SLURM_STEP_NUM_TASKS": 2, "SLURM_PROCID": 1}
        there = {**task, "SLURM_LOCALID": 1, "MASTER_ADDR": "127.0.0.1"}
        monkeypatch.setattr(os, "environ", {key: str(value) for key, value in there.items()})
        join_srun()
        assert (os.environ["WORLD_SIZE"], os.environ["RANK"], os.environ["LOCAL_RANK"]) == ("2", "1", "1")
        ports.add(os.environ["MASTER_PORT"])
    assert len(ports) == 3


@pytest.mark.parametrize(
    ("trainer", "settings", "message"),
    [
        (
            ["num_nodes=2", "devices=1"],
            {},
            "nodes=2 hydra.launcher.ntasks_per_node=1, which are 1 and 1",
        ),
        (["devices=4"], {"ntasks_per_node": 2}, "nodes=1 hydra.launcher.ntasks_per_node=4, which are 1 and 2"),
        (["+devices=4"], {"ntasks_per_node": 2}, "nodes=1 hydra.launcher.ntasks_per_node=4, which are 1 and 2"),
        (["devices=[0,2]"], {"nodes": 2}, "nodes=1 hydra.launcher.ntasks_per_node=2, which are 2 and 1"),
    ],
)
def test_a_job_with_other_tasks_than_devices_is_refused_before_it_waits(
    trainer: list[str], settings: dict[str, int], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMMAND_VARIABLE, "train")
    given = [f"++trainer.{each[1:]}" if each.startswith("+") else f"trainer.{each}" for each in trainer]
    job = Job(0, ("train", "seed=2", "trainer=ddp_cpu", *given), (), tmp_path)
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        SlurmLauncher(**{"nodes": 1, "ntasks_per_node": 1, "max_num_timeout": 1, **settings}).run([job])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("trainer", "launcher"),
    [
        ({"devices": 4}, {"nodes": 1, "ntasks_per_node": 4}),
        ({"devices": 4}, {"nodes": 1, "ntasks_per_node": 1}),  # the one task starts the others
        ({"devices": 4, "num_nodes": 2}, {"nodes": 2, "ntasks_per_node": 4}),
        ({"devices": "auto"}, {"nodes": 1, "ntasks_per_node": 8}),  # the node will tell
        ({"devices": 1}, {"nodes": None, "ntasks_per_node": None}),
    ],
)
def test_a_job_with_a_task_for_each_device_is_let_pass(trainer: dict[str, Any], launcher: dict[str, Any]) -> None:
    check_tasks({"trainer": trainer}, launcher)


REFUSED = """
import os, signal
from subprocess import CalledProcessError
from submitit.core.utils import UncompletedJobError
from genbench.app import cli
from genbench.cluster.slurm import Task

def refuse(number, frame):
    raise {error}

def dispatch(arguments):
    try:
        os.kill(os.getpid(), signal.SIGUSR2)
    except Exception:  # as Hydra does
        return 1

cli.dispatch = dispatch
signal.signal(signal.SIGUSR2, refuse)
Task([])()
"""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ('UncompletedJobError("timed-out too many times")', 128 + signal.SIGUSR2),
        ('CalledProcessError(1, ["scontrol", "requeue"])', 128 + signal.SIGUSR2),
        ('TypeError("a mistake")', 1),
    ],
)
def test_a_task_that_may_not_come_back_leaves_at_the_signal_and_a_mistake_is_no_such_thing(
    error: str, code: int
) -> None:
    program = REFUSED.format(error=error)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


SBATCH = """#!/bin/sh
for last; do cp "$last" "$0.given"; done
echo Submitted batch job 7
"""


@pytest.mark.parametrize(
    ("typed", "limit"),
    [
        ("90", 90),
        ("90:30", 91),
        ("0:01", 1),
        ("24:00:00", 1440),
        ("'24:00:00'", 1440),
        ("1-12", 2160),
        ("1-00:30", 1470),
        ("1-00:00:00", 1440),
    ],
)
def test_a_time_limit_may_be_typed_as_sbatch_takes_it(
    typed: str, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("srun", "sbatch"):
        (tmp_path / name).write_text(SBATCH)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(COMMAND_VARIABLE, "train")
    monkeypatch.setattr(slurm, "_watch", lambda jobs, array: [None for _ in jobs])
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        asked = ["hydra/launcher=slurm", f"hydra.launcher.time={typed}"]
        launcher = instantiate(compose("train", asked, return_hydra_config=True).hydra.launcher)
    assert launcher.run([Job(0, ("train",), (), tmp_path)]) == [None]
    assert f"#SBATCH --time={limit}\n" in (tmp_path / "sbatch.given").read_text()
    (submitted,) = tmp_path.rglob("*_submitted.pkl")
    handler = SignalHandler(SlurmJobEnvironment(), JobPaths(tmp_path), DelayedSubmission.load(submitted))
    assert handler.has_timed_out() is (limit < 10)


@pytest.mark.parametrize("limit", ["soon", "24h", "1:2:3:4", "1-", "-5", "60.5", "0", "00:00:00", "true"])
def test_what_is_no_time_limit_is_told_in_a_line(limit: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^hydra\.launcher\.time={limit} is no .* hydra\.launcher\.time=1440, or .*$"
    ):
        minutes(limit)


def test_a_machine_without_slurm_is_told_what_runs_jobs_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"hydra/launcher=slurm: .*srun.*: without SLURM, hydra/launcher=process runs"
    ):
        run_slurm([Job(0, ("train",), (), tmp_path)], {"max_num_timeout": 1, "time": 1})
