"""Jobs as processes of this machine, so many at a time: a crash stays in its job, and nothing is left for the next."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from genbench.cluster.job import Failure, Job, failure, tell
from genbench.processes import end, ending_at_sigterm

log = logging.getLogger(__name__)


def run_processes(jobs: Sequence[Job], at_once: int) -> list[Failure | None]:
    """Runs every job to its end; for each why it failed, or None.

    Interrupted or told to end, it tells the jobs, which save what they have trained, and waits for them.

    Raises:
        SystemExit: SIGTERM came, and all jobs have ended.
    """
    # processes on one machine share its cores
    threads = str(max(1, (os.cpu_count() or 1) // at_once))
    environment = {"OMP_NUM_THREADS": threads, **os.environ} if at_once > 1 else dict(os.environ)
    running: dict[int, subprocess.Popen[bytes]] = {}
    ending = threading.Event()

    def run(job: Job) -> Failure | None:
        log.info("%s: output in %s", job.title, job.output)
        begun = time.perf_counter()
        with (
            job.output.open("ab") as file,
            subprocess.Popen(job.command, stdout=file, stderr=subprocess.STDOUT, env=environment) as process,
        ):
            running[job.number] = process
            if ending.is_set():  # too late to be found among those that run
                process.terminate()
            code = process.wait()
        del running[job.number]
        told = failure(job, code)
        tell(job, told, f" in {time.perf_counter() - begun:.1f} s")
        return told

    with ending_at_sigterm(), ThreadPoolExecutor(at_once) as pool:
        try:
            return list(pool.map(run, jobs))
        except BaseException as reason:
            ending.set()
            pool.shutdown(wait=False, cancel_futures=True)
            end(list(running.values()), reason)
            raise
