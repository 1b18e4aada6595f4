"""The resume checkpoint: replaced as a whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genbench.core import RunError
from genbench.training.every import Every
from genbench.training.module import TrainingModule
from genbench.training.recorder import Recorder


class ResumeCheckpoint(pl.Callback):
    """Saves `path` at every multiple of `every` images, after the recorder has found the losses finite."""

    def __init__(self, path: Path, every: int, recorder: Recorder) -> None:
        self.path, self.every, self.recorder = path, Every(every, "checkpoint_every"), recorder

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self.every.start(module.images_seen)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        if self.every.due(module.images_seen):
            self.save(trainer, module)

    def save(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Writes beside the old checkpoint, then takes its place.

        Raises:
            RunError: it cannot be written; the old one is untouched.
        """
        self.recorder.flush(trainer, module)
        with module.off_the_clock():
            partial = self.path.with_suffix(".partial")
            try:
                trainer.save_checkpoint(partial)
                if trainer.is_global_zero:
                    with partial.open("rb") as file:
                        os.fsync(file.fileno())
                    partial.replace(self.path)
            except (OSError, RuntimeError) as error:
                # torch reports a full disk as a RuntimeError of its zip writer
                partial.unlink(missing_ok=True)
                raise RunError(
                    f"cannot write the checkpoint {self.path} at {module.images_seen} images: {error}; the previous "
                    "one is kept: free some space and run the same command again to resume"
                ) from error
