"""`hydra/launcher=process`, `slurm` and `ray`: every job of a sweep as a command line of its own.

Hydra takes launchers from this namespace only.
"""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from genbench.app.cli import COMMAND_VARIABLE
from genbench.app.entry import JobFailedError, JobStoppedError
from genbench.app.paths import own_flags
from genbench.cluster.job import Failure, Job

DECIDE_DEVICES = ("trainer", "experiment")
"""How overrides begin that say on how many devices a job trains."""


class _Commands(Launcher):
    """Makes a command line of every job, and Hydra's answer of what became of it."""

    config: DictConfig

    def __init__(self, **settings: Any) -> None:
        self.settings: dict[str, Any] = {
            k: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for k, v in settings.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        folder = Path(str(self.config.hydra.sweep.dir)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        words = [*os.environ[COMMAND_VARIABLE].split("_"), *own_flags(sys.argv)]
        given = [filter_overrides(overrides) for overrides in job_overrides]
        alike = set(given[0]).intersection(*given[1:]) if len(given) > 1 else set()
        jobs = [
            Job(initial_job_idx + i, (*words, *each), tuple(o for o in each if o not in alike), folder)
            for i, each in enumerate(given)
        ]
        from genbench.core import GenbenchError  # with torch, which --help does not need

        try:
            failures = self.run(jobs)
        except GenbenchError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(1) from error
        return [self._told(job, failure) for job, failure in zip(jobs, failures, strict=True)]

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> list[Failure | None]:
        """Runs them; for each why it failed, or None."""

    @staticmethod
    def _told(job: Job, failure: Failure | None) -> JobReturn:
        told = JobReturn(overrides=job.choices, working_dir=str(job.folder))
        told.status = JobStatus.COMPLETED if failure is None else JobStatus.FAILED
        told.return_value = None
        if failure is not None:
            error = JobStoppedError if failure.stopped else JobFailedError
            # its last lines were told when it ended
            told.return_value = error(f"error: {failure.reason.splitlines()[0].removesuffix(' ends:')}")
        return told


class ProcessLauncher(_Commands):
    """Processes of this machine, `at_once` at a time."""

    def run(self, jobs: Sequence[Job]) -> list[Failure | None]:
        from genbench.cluster.processes import run_processes
        from genbench.cluster.settings import ProcessSettings, check_settings

        check_settings(self.settings, ProcessSettings)
        return run_processes(jobs, **self.settings)


class SlurmLauncher(_Commands):
    """An array of SLURM; the settings are sbatch's options."""

    def run(self, jobs: Sequence[Job]) -> list[Failure | None]:
        from genbench.app.build import resolve
        from genbench.app.compose import compose
        from genbench.app.launch import check_tasks
        from genbench.cluster.settings import check_sbatch
        from genbench.cluster.slurm import run_slurm

        check_sbatch(self.settings)
        if os.environ[COMMAND_VARIABLE] == "train":  # a benchmark has looked at its cells itself
            given = [
                tuple(each for each in job.arguments if each.lstrip("+").startswith(DECIDE_DEVICES)) for job in jobs
            ]
            for overrides in dict.fromkeys(given):
                check_tasks({"trainer": resolve(compose("train", overrides).trainer)}, self.settings)
        return run_slurm(jobs, self.settings)


class RayLauncher(_Commands):
    """Tasks of a Ray cluster."""

    def run(self, jobs: Sequence[Job]) -> list[Failure | None]:
        from genbench.cluster.ray import Needs, run_ray
        from genbench.cluster.settings import RaySettings, check_settings

        check_settings(self.settings, RaySettings)
        needs = Needs(self.settings["num_cpus"], self.settings["num_gpus"])
        return run_ray(jobs, self.settings["address"], needs, self.settings["max_retries"])
