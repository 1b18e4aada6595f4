"""What a job of SLURM is told to have come to: on a real one, with shell scripts in the place of trainings."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import submitit

from genbench.cluster import slurm as cluster
from genbench.cluster.job import Failure, Job

NOTHING_STOPS_IT = "trap '' USR2 TERM; sleep 300"

RunScripts = Callable[..., list[Failure | None]]


@pytest.fixture
def run_scripts(slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunScripts:
    """Runs scripts as the tasks of an array, with settings of the launcher."""
    for key, value in slurm.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(cluster, "Task", lambda arguments: partial(os.execvp, "sh", ["sh", "-c", *arguments]))
    monkeypatch.setattr(cluster, "EVERY", 1.0)
    monkeypatch.setattr(cluster, "PATIENCE", 0.0)

    def run(*scripts: str, **settings: object) -> list[Failure | None]:
        jobs = [Job(i, (script,), (script,), tmp_path) for i, script in enumerate(scripts)]
        common = {"partition": "main", "time": 10, "max_num_timeout": 1, "signal_delay_s": 60}
        return cluster.run_slurm(jobs, common | settings)

    return run


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_job_that_is_preempted_for_good_was_stopped(run_scripts: RunScripts) -> None:
    # 1 s after its job has begun, another one takes its place
    high = "sbatch --partition=high --nodes=2 --exclusive --output=/dev/null --wrap='sleep 1'"
    (found,) = run_scripts(f"{high}; {NOTHING_STOPS_IT}", partition="spot")
    assert found is not None
    assert "is PREEMPTED for SLURM" in found.reason
    assert found.stopped


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_job_that_left_at_a_signal_and_is_not_to_come_back_was_stopped(run_scripts: RunScripts) -> None:
    scripts = {f"exit {128 + signal.SIGUSR2}": True, "exit 1": False, "kill -KILL $$": False}
    found = run_scripts(*scripts, additional_parameters={"requeue": False})
    assert [failure and failure.stopped for failure in found] == list(scripts.values())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_task_that_dies_ends_those_that_wait_for_it(run_scripts: RunScripts) -> None:
    begin = time.monotonic()
    script = "[ $SLURM_PROCID = 1 ] && { sleep 2; kill -KILL $$; }; trap '' TERM; exec sleep 200"
    (found,) = run_scripts(script, nodes=2)
    assert time.monotonic() - begin < 180.0
    assert found is not None
    assert "is FAILED for SLURM" in found.reason
    assert not found.stopped


def test_a_job_that_is_forgotten_without_a_result_was_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "squeue"
    fake.write_text("#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(cluster, "PATIENCE", 0.0)
    submitted, job = submitit.SlurmJob(tmp_path, "7_0", tasks=[0]), Job(0, ("train",), ("seed=1",), tmp_path)
    (found,) = cluster._watch({submitted: job}, "7")
    assert found is not None
    assert found.reason.startswith("job 0 (seed=1) is gone for SLURM (7_0)")
    assert found.stopped
