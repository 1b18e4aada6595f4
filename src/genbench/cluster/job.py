"""One job of a sweep: a command line, and the file that keeps what it says."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TOLD = 12
"""Lines of a failed job's output that are shown."""


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


@dataclass(frozen=True)
class Failure:
    """Why a job failed, and whether only because it was stopped from outside, so that it would go on."""

    reason: str
    stopped: bool


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
