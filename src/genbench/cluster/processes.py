"""Jobs as processes of this machine, so many at a time: a crash stays in its job, and nothing is left for the next."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from genbench.cluster.job import Job, failure
from genbench.core import ConfigError

log = logging.getLogger(__name__)


def run_processes(jobs: Sequence[Job], at_once: int) -> list[str | None]:
    """Runs every job to its end; for each why it failed, or None.

    Raises:
        ConfigError: not one job at a time.
    """
    if at_once < 1:
        raise ConfigError(f"hydra.launcher.at_once={at_once}: give 1 or more jobs at a time")
    # processes on one machine share its cores
    threads = str(max(1, (os.cpu_count() or 1) // at_once))
    environment = {"OMP_NUM_THREADS": threads, **os.environ} if at_once > 1 else dict(os.environ)

    def run(job: Job) -> str | None:
        output = job.folder / f"{job.number}.log"
        log.info("%s: output in %s", job.title, output)
        begun = time.perf_counter()
        with output.open("ab") as file:
            command = [sys.executable, "-m", "genbench", *job.arguments]
            code = subprocess.call(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
        if code:
            told = failure(job, f"failed with exit code {code}", [output])
            log.error("%s", told)
            return told
        log.info("%s: done in %.1f s", job.title, time.perf_counter() - begun)
        return None

    with ThreadPoolExecutor(at_once) as pool:
        try:
            return list(pool.map(run, jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
