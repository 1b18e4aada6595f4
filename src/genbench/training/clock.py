"""The clock of a training: its seconds, without judging and saving, and the phases that they go to."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

OFF = "off the clock"


class HostEvent:
    """A moment on the host, with the methods of torch.cuda.Event."""

    def __init__(self) -> None:
        self.at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def query(self) -> bool:
        return True

    def elapsed_time(self, end: HostEvent) -> float:
        return 1000.0 * (end.at - self.at)


class Clock:
    """Counts seconds while it runs, and shares them out to the phases that training says it is in.

    On CUDA the borders of phases are events in the stream of kernels, read once the device has passed them: a phase is
    then what the device was busy with or waited for, and nothing is synchronised for it. Elsewhere it is host time.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.phase = self.before = "start"
        self._mark: float | None = None  # None while the clock stands
        self._device = torch.device("cpu")
        self._event: Callable[[], Any] = HostEvent
        self._borders: deque[tuple[str, Any]] = deque()
        self._spent: dict[str, float] = {}

    def start(self, device: torch.device) -> None:
        """Begins to count, on top of the seconds so far."""
        self._device = device
        cuda: Any = torch.cuda  # whose events have no annotations
        self._event = (lambda: cuda.Event(enable_timing=True)) if device.type == "cuda" else HostEvent
        self._borders.clear()
        self._spent.clear()
        self.enter("data")
        self._mark = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds of training so far, over all resumes, without judging and saving."""
        if self._mark is not None:
            now = time.perf_counter()
            self.seconds, self._mark = self.seconds + now - self._mark, now
        return self.seconds

    @contextmanager
    def off(self) -> Iterator[None]:
        """Time spent inside is not training time."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.elapsed()
        self._mark = None
        try:
            with self.within(OFF):
                yield
        finally:
            self._mark = time.perf_counter()

    @contextmanager
    def within(self, phase: str) -> Iterator[None]:
        """A phase inside of another, which goes on afterwards."""
        around = self.phase
        self.enter(phase)
        try:
            yield
        finally:
            self.enter(around)

    def enter(self, phase: str) -> None:
        """Ends the phase that training is in and begins another."""
        self.before, self.phase = self.phase, phase
        self._border()

    def shares(self) -> dict[str, float]:
        """Which parts of the time since the last call, or the start, each phase took; they add to 1."""
        self._border()
        self._spent.pop(OFF, None)
        total = sum(self._spent.values())
        shares = {phase: seconds / total for phase, seconds in self._spent.items()} if total else {}
        self._spent.clear()
        return shares

    def _border(self) -> None:
        event = self._event()
        event.record()
        self._borders.append((self.phase, event))
        while len(self._borders) > 1 and self._borders[1][1].query():
            phase, begun = self._borders.popleft()
            spent = begun.elapsed_time(self._borders[0][1]) / 1000.0
            self._spent[phase] = self._spent.get(phase, 0.0) + spent
