"""The resume checkpoint: replaced as a whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genbench.core import ConfigError, RunError
from genbench.training.module import TrainingModule
from genbench.training.recorder import Recorder


class ResumeCheckpoint(pl.Callback):
    """Saves `path` every `every` images, after the recorder has found the losses finite."""

    def __init__(self, path: Path, every: int, recorder: Recorder) -> None:
        if every < 1:
            raise ConfigError(f"training.checkpoint_every is {every}; expected a number of images, 1 or more")
        self.path, self.every, self.recorder = path, every, recorder
        self._last = 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self._last = module.images_seen

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        if module.images_seen - self._last >= self.every:
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
        self._last = module.images_seen
