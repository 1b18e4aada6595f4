"""Sample sheets, and a first judgement, while a model trains."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
from PIL import Image
from torch import Tensor

from genbench.core import ConfigError
from genbench.core.files import write_atomically
from genbench.core.grid import image_grid
from genbench.training.module import TrainingModule

Look = Callable[[], tuple[Tensor, Mapping[str, float]]]
"""Draws uint8 images [N,C,H,W] of fixed seeds, and judges them."""


@runtime_checkable
class ImageLogger(Protocol):
    """A logger that takes pictures, as Lightning's W&B logger does."""

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None: ...


class Preview(pl.Callback):
    """At every multiple of `every` images, averaged weights, off the clock: a sheet of samples and the judge's numbers.

    `look` may not touch the global random stream, so that a run with previews equals one without.
    """

    def __init__(self, folder: Path, every: int, look: Look) -> None:
        if every < 1:
            raise ConfigError(f"training.preview_every is {every}; expected a number of images, or null for none")
        self.folder, self.every, self.look = folder, every, look
        self._last = 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self._last = module.images_seen

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        # multiples, not distances: a resumed training looks at the same image counts as an undisturbed one
        due = module.images_seen // self.every > self._last // self.every or module.images_seen >= module.images
        self._last = module.images_seen
        if due and trainer.is_global_zero:
            self.show(trainer, module)

    def show(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Draws, judges and logs."""
        with module.off_the_clock(), module.ema.applied():
            module.model.eval()
            try:
                images, numbers = self.look()
            finally:
                module.model.train()
            record = {**numbers, "seconds": module.seconds}
            sheet = image_grid(images)
            self._save(sheet, module.images_seen)
            for logger in trainer.loggers:
                logger.log_metrics(record, step=module.images_seen)
                if isinstance(logger, ImageLogger):
                    logger.log_image("samples", [sheet], step=module.images_seen)

    def _save(self, sheet: Image.Image, images: int) -> None:
        content = io.BytesIO()
        sheet.save(content, format="PNG")
        write_atomically(self.folder / f"{images:010d}.png", content.getvalue())
