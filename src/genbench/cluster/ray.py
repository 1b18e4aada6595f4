"""Jobs as tasks of a Ray cluster, each a process that its worker starts and waits for.

Why not through hydra-ray-launcher: there a job is a call in a worker, so it can have one device only and leaves its
state to the next, and it asks for a cloudpickle older than joblib's.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genbench.cluster.job import Failure, Job, described, failure, tell
from genbench.core import ConfigError
from genbench.core.errors import first_line
from genbench.processes import ending_at_sigterm

log = logging.getLogger(__name__)

REACHED_IN = 10.0
"""Seconds for a cluster's address to answer; Ray itself tries for a quarter of an hour."""


@dataclass(frozen=True)
class Needs:
    """What a job is given of one node: cores, and GPUs."""

    num_cpus: float
    num_gpus: float


def run_ray(jobs: Sequence[Job], address: str, needs: Needs, max_retries: int) -> list[Failure | None]:
    """Runs every job to its end on a cluster; for each why it failed, or None.

    Interrupted or told to end, it has the jobs save what they have trained, and waits for them.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
        SystemExit: SIGTERM came, and all jobs have ended.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("hydra/launcher=ray needs Ray: pip install 'genbench[ray]'") from None
    _connect(address)
    try:
        try:
            task = ray.remote(run_here).options(**asdict(needs), max_retries=max_retries, name="genbench")
        except (TypeError, ValueError) as error:
            raise ConfigError(f"hydra/launcher=ray refuses hydra.launcher: {first_line(error)}") from error
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        _warn_of_waiting(needs, [node["Resources"] for node in nodes if node["Alive"]])
        here, environment = Path.cwd(), dict(os.environ)
        with ending_at_sigterm():
            return _watch(jobs, lambda job: task.remote(job, here, environment))
    except SystemExit:
        raise SystemExit(128 + signal.SIGTERM) from None  # while it waits, Ray makes code 1 of any other
    finally:
        ray.shutdown()


def run_here(job: Job, folder: Path, environment: Mapping[str, str]) -> int:
    """The exit code of a job that runs in a process of this machine; cancelled, the process is told to save and end.

    What the environment lacks here, such as the CUDA devices that Ray has chosen, is taken from the submitter's.
    """
    together = {**environment, **os.environ}
    with (
        job.output.open("ab") as file,
        subprocess.Popen(job.command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, env=together) as process,
    ):
        try:
            while process.poll() is None:
                time.sleep(0.2)  # what cancels a task does not interrupt a wait
        except KeyboardInterrupt:
            process.terminate()
        return process.wait()


def _connect(address: str) -> None:
    import ray

    host, _, port = address.rpartition(":")
    try:
        if host and port.isdecimal():
            socket.create_connection((host, int(port)), timeout=REACHED_IN).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"hydra.launcher.address={address}: no Ray cluster there ({first_line(error).rstrip('.')}): give a node's "
            "HOST:PORT, with RAY_AUTH_MODE=token where it asks for one, or local to start one here"
        ) from error


def _warn_of_waiting(needs: Needs, nodes: Sequence[Mapping[str, float]]) -> None:
    """Says so where no node has what a job needs; a cluster that grows may get one."""
    if not any(node.get("CPU", 0) >= needs.num_cpus and node.get("GPU", 0) >= needs.num_gpus for node in nodes):
        log.warning(
            "no node of the cluster has hydra.launcher.num_cpus=%g and num_gpus=%g: the jobs wait for one that has",
            needs.num_cpus,
            needs.num_gpus,
        )


def _watch(jobs: Sequence[Job], submit: Callable[[Job], Any]) -> list[Failure | None]:
    """Submits every job and waits until it is over; tells each as it ends."""
    import ray

    left: dict[Any, Job] = {}
    ended: dict[int, Failure | None] = {}
    try:
        for job in jobs:
            left[submit(job)] = job
        while left:
            (task, *_), _ = ray.wait(list(left), num_returns=1)
            job = left.pop(task)
            ended[job.number] = told = _outcome(task, job)
            tell(job, told)
    except BaseException:
        log.warning("waiting for the jobs to save and end")
        for task in left:
            ray.cancel(task)
        ray.wait(list(left), num_returns=len(left))
        raise
    return [ended[job.number] for job in jobs]


def _outcome(task: Any, job: Job) -> Failure | None:
    import ray

    try:
        return failure(job, ray.get(task))
    except ray.exceptions.RayTaskError as error:
        # its worker could not start the process: no such folder there, or another installation
        return Failure(f"{job.title} could not be started by Ray: {first_line(error.cause)}", stopped=False)
    except ray.exceptions.RayError as error:
        return Failure(described(job, f"was lost by Ray ({first_line(error)})", [job.output]), stopped=True)
