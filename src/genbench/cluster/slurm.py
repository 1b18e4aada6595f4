"""Jobs as an array of SLURM, submitted and packed by submitit, watched through squeue.

Why not through hydra-submitit-launcher: there a job that raises is COMPLETED for SLURM, and a cluster without
accounting leaves the submitter waiting for ever.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from genbench.cluster.job import Failure, Job, described, tell
from genbench.cluster.time_limit import minutes
from genbench.core import ConfigError
from genbench.core.errors import first_line
from genbench.processes import STOPS

log = logging.getLogger(__name__)

ACTIVE = frozenset(
    {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING"}
    | {"SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "SPECIAL_EXIT"}
)
"""States of a job that is not over."""

STOPPED = frozenset({None, "CANCELLED", "PREEMPTED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "REVOKED"})
"""States of a job that is over though its command was not; None is of one that SLURM has forgotten.

One that is preempted to be requeued is COMPLETING and then PENDING; PREEMPTED it is for good.
"""

SAVED = frozenset(128 + each for each in STOPS)
"""Exit codes of a command that saved at a signal, which FAILED for SLURM unless it is put back into the queue.

No others: where a task fails, srun kills those beside it.
"""

EVERY = 5.0
"""Seconds between two looks at the queue."""

PATIENCE = 30.0
"""Seconds that what a finished job wrote may take to appear here."""


class Task:
    """What one task of a job does: a command of `genbench`, in a process of its own that srun started."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = list(arguments)

    def __call__(self) -> None:
        """Runs the command.

        Raises:
            SystemExit: it failed, which SLURM must see, or left at a signal; what it said is above.
        """
        from submitit.core.utils import UncompletedJobError

        from genbench.app.cli import dispatch

        requeue: Any = signal.getsignal(signal.SIGUSR2)

        def leave(number: int, frame: FrameType | None) -> None:
            # a job may not come back, or SLURM does not take it: that must not look like a failure of the command
            try:
                requeue(number, frame)
            except (UncompletedJobError, subprocess.SubprocessError) as error:
                raise SystemExit(128 + number) from error

        signal.signal(signal.SIGUSR2, leave)
        sys.argv = ["genbench", *self.arguments]
        if code := dispatch(self.arguments):
            raise SystemExit(code)
        # nothing is left to save: a time limit or a preemption that is announced from now on, while Python shuts
        # down, must not turn what is done into a failure
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    def checkpoint(self) -> Any:
        """The same once more: a run folder remembers how far it is."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def run_slurm(jobs: Sequence[Job], settings: Mapping[str, Any]) -> list[Failure | None]:
    """Submits all jobs as one array and waits for them; for each why it failed, or None.

    Raises:
        ConfigError: submitit is not installed, this machine has no SLURM, or the settings are refused.
    """
    try:
        import submitit
    except ImportError:
        raise ConfigError("hydra/launcher=slurm needs submitit: pip install 'genbench[cluster]'") from None
    given = {key: value for key, value in settings.items() if value is not None}
    timeouts = given.pop("max_num_timeout")
    if "time" in given:
        given["time"] = minutes(given["time"])
    # until Python listens for it, the signal of a preemption must not kill the job
    given["setup"] = ["trap '' USR2", *given.get("setup", [])]
    # else they may wait as long as a collective has patience for one that is gone
    given["srun_args"] = ["--kill-on-bad-exit=1", *given.get("srun_args", [])]
    # sbatch has no --requeue=false but --no-requeue
    others = given.get("additional_parameters", {})
    given["additional_parameters"] = {
        f"no-{key}" if value is False else key: value is False or value for key, value in others.items()
    }
    try:
        executor = submitit.SlurmExecutor(jobs[0].folder / "slurm" / "%j", max_num_timeout=timeouts)
        executor.update_parameters(**given)
        with executor.batch():
            submitted = [executor.submit(Task(job.arguments)) for job in jobs]
    except (RuntimeError, NameError, ValueError, OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"hydra/launcher=slurm: {_refusal(error)}") from error
    array = submitted[0].job_id.split("_")[0]
    log.info("%d jobs in array %s, output in %s", len(jobs), array, jobs[0].folder / "slurm")
    try:
        return _watch(dict(zip(submitted, jobs, strict=True)), array)
    except KeyboardInterrupt:
        log.warning("no longer watching; the jobs go on, and `scancel %s` ends them", array)
        raise


def _refusal(error: Exception) -> str:
    """The line of a refusal that says why."""
    lines = [line for line in str(error).splitlines() if "error:" in line]
    said = lines[-1].partition("error:")[2].strip() if lines else first_line(error)
    return said if shutil.which("sbatch") else f"{said}: without SLURM, hydra/launcher=process runs jobs here"


def _watch(jobs: Mapping[Any, Job], array: str) -> list[Failure | None]:
    """Waits until every job is over; tells each as it ends."""
    ended: dict[Any, Failure | None] = {}
    while len(ended) < len(jobs):
        states = queue(array)
        for submitted, job in jobs.items():
            if submitted in ended or states is None:
                continue
            if (seen := states.get(submitted.job_id, FORGOTTEN)).state in ACTIVE:
                continue
            ended[submitted] = told = _outcome(submitted, job, seen)
            tell(job, told)
        if len(ended) < len(jobs):
            time.sleep(EVERY)
    return [ended[submitted] for submitted in jobs]


class Seen(NamedTuple):
    """What SLURM says of a job: its state, None if it has forgotten it, and its exit code, negative if by a signal."""

    state: str | None
    code: int


FORGOTTEN = Seen(None, 0)


def queue(array: str) -> dict[str, Seen] | None:
    """What is said of every job of an array, by id; those SLURM has forgotten are left out, None while it is silent."""
    columns = "JobArrayID:64,State:64,exit_code:64"
    command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={array}", f"--Format={columns}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60.0)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if said.returncode and "Invalid job id" not in said.stderr:
        return None
    rows = [line.split() for line in said.stdout.splitlines()]
    return {job: Seen(state, _exit_code(status)) for job, state, status in (row for row in rows if len(row) == 3)}


def _exit_code(status: str) -> int:
    """What a wait status says; 0 of one that is none, as of a job that has not run."""
    try:
        return os.waitstatus_to_exitcode(int(status))
    except (ValueError, OverflowError):
        return 0


def _outcome(submitted: Any, job: Job, seen: Seen) -> Failure | None:
    """Why a job that is over failed, or None: for SLURM and in its own words it went well."""
    state, code = seen
    if state in (None, "COMPLETED") and _within(PATIENCE, lambda: _succeeded(submitted.paths.result_pickle)):
        return None
    paths = [submitted.paths.stderr, submitted.paths.stdout]
    stopped = state in STOPPED or (state == "FAILED" and code in SAVED)
    return Failure(described(job, f"is {state or 'gone'} for SLURM ({submitted.job_id})", paths), stopped)


def _succeeded(result: Path) -> bool:
    from submitit.core.utils import pickle_load

    return result.is_file() and pickle_load(result)[0] == "success"


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something holds before so much time has passed."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True
