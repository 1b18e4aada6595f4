"""Other processes, which are told to end when this one is."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

STOPS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""What clusters send before they take a node away, the weakest first: all but SIGTERM, which also cancels, ask for
another turn."""

OWN_END = 10.0
"""Seconds that processes have to end by themselves when this one is interrupted: a terminal interrupts them too."""


def run_command(command: Sequence[str]) -> int:
    """Runs one command to its end and gives its exit code; interrupted or told to end, it tells the command and waits.

    Raises:
        SystemExit: SIGTERM came, and the command has ended.
    """
    with ending_at_sigterm(), subprocess.Popen(command) as process:
        try:
            return process.wait()
        except BaseException as reason:
            end([process], reason)
            process.wait()
            raise


@contextmanager
def ending_at_sigterm() -> Iterator[None]:
    """SIGTERM raises SystemExit, rather than leave the jobs behind."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end(running: Collection[subprocess.Popen[bytes]], reason: BaseException) -> None:
    """Tells processes to end, at once or, where a terminal may have told them, if they have not in a while."""
    patience = 0.0 if isinstance(reason, SystemExit) else OWN_END
    give_up = time.monotonic() + patience
    while (left := [each for each in running if each.poll() is None]) and time.monotonic() < give_up:
        time.sleep(0.1)
    if left:
        log.warning("waiting for %d processes to save and end", len(left))
        for process in left:
            process.terminate()
