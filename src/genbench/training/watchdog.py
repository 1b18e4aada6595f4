"""Says that training hangs, and where."""

from __future__ import annotations

import faulthandler
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytorch_lightning as pl

from genbench.training.clock import OFF
from genbench.training.module import TrainingModule


class Watchdog(pl.Callback):
    """Where no batch was finished for `seconds`, writes to stderr and `path` what every thread of this process is at.

    Once for every hang, and then it goes on waiting: to end a process is the business of whoever started it. Previews
    and saving take the time they take. A thread of Python, it is silent while another one keeps the interpreter's lock.
    """

    def __init__(self, seconds: float, path: Path) -> None:
        self.seconds, self.path = seconds, path
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._watch, args=(module, trainer.global_rank), name="watchdog", daemon=True
        )
        self._thread.start()

    def _watch(self, module: TrainingModule, rank: int) -> None:
        seen, since, told = module.images_seen, time.monotonic(), False
        while not self._stop.wait(self.seconds / 10.0):
            if module.images_seen != seen or module.clock.phase == OFF:
                seen, since, told = module.images_seen, time.monotonic(), False
            elif not told and time.monotonic() - since >= self.seconds:
                self._tell(module, rank)
                told = True

    def _tell(self, module: TrainingModule, rank: int) -> None:
        with tempfile.TemporaryFile("w+") as stacks:
            faulthandler.dump_traceback(stacks)
            stacks.seek(0)
            told = (
                f"rank {rank}: no batch was finished for {self.seconds:g} s; {module.images_seen} images seen, in the "
                f"phase {module.clock.phase} after {module.clock.before}; it goes on waiting; all threads are at\n"
                f"{stacks.read()}"
            )
        print(f"\n{told}", file=sys.stderr, flush=True)
        with suppress(OSError), self.path.open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {told}\n")

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._end()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self._end()

    def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
