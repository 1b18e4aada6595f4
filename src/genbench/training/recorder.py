"""Losses to the loggers, averaged over an interval, and the alarm for losses that are no longer finite."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from genbench.core import TrainingError
from genbench.training.every import Every
from genbench.training.module import TrainingModule
from genbench.training.replicas import reaching_others


class Recorder(pl.Callback):
    """At every multiple of `every` images: mean losses, learning rate, seconds and images/s to all loggers.

    Losses wait on the device until then, so recording costs one transfer an interval.

    Raises:
        TrainingError: a loss or gradient norm is not finite; names the image count at which it happened.
    """

    def __init__(self, every: int) -> None:
        self.every = Every(every, "log_every")
        self._pending: list[tuple[int, dict[str, Tensor]]] = []
        self._last = (0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self._pending.clear()
        self._last = (module.images_seen, module.elapsed())
        self.every.start(module.images_seen)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        self._pending.append((module.images_seen, outputs))
        if self.every.due(module.images_seen):
            self.flush(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self.flush(trainer, module)

    def flush(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Checks and records what is pending; called before every checkpoint, so that none is taken of a ruin."""
        if not self._pending:
            return
        means = {}
        for name in self._pending[-1][1]:
            values = torch.stack([losses[name].float() for _, losses in self._pending])
            # over all devices, each of which has seen its share of the images
            with reaching_others():
                values = trainer.strategy.reduce(values, reduce_op="mean").cpu()
            bad = (~values.isfinite()).nonzero()
            if len(bad):
                raise TrainingError(self._alarm(name, float(values[bad[0, 0]]), self._pending[int(bad[0, 0])][0]))
            means[name] = float(values.mean())
        images, seconds = module.images_seen, module.elapsed()
        speed = (images - self._last[0]) / max(seconds - self._last[1], 1e-9)
        optimizer = trainer.optimizers[0]
        record = {
            **means,
            "lr": optimizer.param_groups[0]["lr"],
            "seconds": seconds,
            "images_per_second": speed,
        }
        for logger in trainer.loggers:
            logger.log_metrics(record, step=images)
        self._pending.clear()
        self._last = (images, seconds)

    @staticmethod
    def _alarm(name: str, value: float, images: int) -> str:
        return (
            f"{name} is {value} at {images} images seen; training stopped; an earlier checkpoint, if any, is kept: "
            "try a lower optimizer.lr, a longer lr_scheduler.warmup, training.clip=1 or trainer.precision=32-true"
        )
