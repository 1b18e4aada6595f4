"""A progress bar that counts images."""

from __future__ import annotations

import sys
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from genbench.training.module import TrainingModule


class Progress(pl.callbacks.ProgressBar):
    """One bar for the whole budget, continued where a resumed training starts."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self.bar: tqdm[Any] | None = None

    def disable(self) -> None:
        """Called by Lightning on every rank but the first."""
        self.title = ""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self.bar = tqdm(
            total=module.images,
            initial=module.images_seen,
            desc=self.title,
            unit="img",
            unit_scale=True,
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 15.0,
            disable=not self.title,
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        if self.bar is not None:
            self.bar.update(module.images_seen - self.bar.n)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self.teardown(trainer, module, "fit")

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        if self.bar is not None:
            self.bar.close()
