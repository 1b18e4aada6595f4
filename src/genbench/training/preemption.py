"""A signal to stop: what has been trained is saved at the end of the step, on all devices together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
import torch.distributed as dist

from genbench.processes import STOPS
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.module import TrainingModule

log = logging.getLogger(__name__)

STARTED_BY = "GENBENCH_STARTED_BY"
"""In the environment of each of a training's processes, the process that started them all here and waits for them."""


class Stopped(SystemExit):
    """Left at a signal with everything saved; the code is 128 and the signal's number, as shells tell it."""


class Preemption(pl.Callback):
    """Saves where a signal to stop finds training, puts a job of SLURM back into the queue, and leaves.

    The handlers only take note: a checkpoint made inside of one could be of half a step, and on several devices of
    different steps.

    Raises:
        Stopped: a signal came.
    """

    def __init__(self, checkpoint: ResumeCheckpoint) -> None:
        self.checkpoint = checkpoint
        self._received = 0  # the strongest signal so far, by its place among STOPS from 1
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # not before: Lightning sets up handlers of its own
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._note) for each in STOPS}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = max(self._received, STOPS.index(signal.Signals(number)) + 1)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        if os.environ.get(STARTED_BY, parent := str(os.getppid())) != parent:
            # killed itself, it can tell nothing: left alone, its processes would hold the run folder to the end
            self._note(signal.SIGTERM, None)
        received = self._agreed(trainer.world_size)
        if not received:
            return
        self.checkpoint.save(trainer, module)
        found = STOPS[received - 1]
        if trainer.is_global_zero:
            log.warning("%s: saved at %d images; the same command goes on", found.name, module.images_seen)
        self._leave(found, trainer)

    def leave(self, trainer: pl.Trainer) -> None:
        """Ends the process if a signal came that found no end of a step; everything is saved.

        Raises:
            Stopped: one did.
        """
        if received := self._agreed(trainer.world_size):
            self._leave(STOPS[received - 1], trainer)

    def _leave(self, found: signal.Signals, trainer: pl.Trainer) -> NoReturn:
        if trainer.is_global_zero and found != signal.SIGTERM:
            requeue()
        if trainer.world_size > 1:
            # SLURM may end a job of which one process is gone
            dist.barrier()
        raise Stopped(128 + found)

    def _agreed(self, devices: int) -> int:
        """The strongest of what any device has received: a signal may reach one a step later than another."""
        if devices == 1:
            return self._received
        received = torch.tensor(self._received)
        dist.all_reduce(received, dist.ReduceOp.MAX)
        return int(received)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._restore()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before = {}


def requeue() -> None:
    """Puts this job of SLURM back into the queue, where it is one."""
    if "SLURM_JOB_ID" not in os.environ:
        return
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    if done.returncode:
        log.warning("cannot requeue job %s (%s): submit it again to go on", job, done.stderr.strip())
