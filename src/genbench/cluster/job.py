"""One job of a sweep: a command line, and the file that keeps what it says."""

from __future__ import annotations

import logging
import signal
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genbench.processes import STOPS

log = logging.getLogger(__name__)

TOLD = 12
"""Lines of a failed job's output that are shown."""

ENDS = (*STOPS, signal.SIGHUP, signal.SIGINT, signal.SIGKILL)
"""Signals by which a process is stopped from outside; others tell of its own faults."""


@dataclass(frozen=True)
class Job:
    """A command line of `genbench`, without the program's name, and the folder for what it leaves."""

    number: int
    arguments: tuple[str, ...]
    choices: tuple[str, ...]
    """What sets it apart from the others."""
    folder: Path

    @property
    def title(self) -> str:
        return f"job {self.number} ({' '.join(self.choices)})"

    @property
    def output(self) -> Path:
        return self.folder / f"{self.number}.log"

    @property
    def command(self) -> list[str]:
        """The command line in the Python that asks."""
        return [sys.executable, "-m", "genbench", *self.arguments]


@dataclass(frozen=True)
class Failure:
    """Why a job failed, and whether only because it was stopped from outside, so that it would go on."""

    reason: str
    stopped: bool


def failure(job: Job, code: int) -> Failure | None:
    """What a process's exit code says of a job whose output it wrote, None if all went well."""
    if not code:
        return None
    told = described(job, f"failed with exit code {code}", [job.output])
    # negative if it died by the signal, as shells tell it if it left at it
    return Failure(told, stopped=(-code if code < 0 else code - 128) in ENDS)


def tell(job: Job, failed: Failure | None, took: str = "") -> None:
    """Logs how a job ended."""
    if failed is None:
        log.info("%s: done%s", job.title, took)
    else:
        log.error("%s", failed.reason)


def described(job: Job, what: str, logs: Sequence[Path]) -> str:
    """A failed job in words: what happened, and the last lines of the first of its logs that says something."""
    for log in logs:
        if lines := last_lines(log):
            return "\n".join([f"{job.title} {what}; {log} ends:", *(f"    {line}" for line in lines)])
    return f"{job.title} {what}, and left no output in {', '.join(map(str, logs))}"


def last_lines(log: Path) -> list[str]:
    """The last lines of a file that are not blank, of a progress bar its last state; none if there is no file."""
    if not log.is_file():
        return []
    with log.open(errors="replace", newline="\n") as file:
        kept = deque((line for line in file if line.strip()), maxlen=TOLD)
    return [line.rstrip().rpartition("\r")[2] for line in kept]
