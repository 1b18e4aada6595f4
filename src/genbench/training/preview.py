"""Sample sheets and first numbers while a model trains."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
from PIL import Image
from torch import Tensor

from genbench.core.files import write_atomically
from genbench.core.grid import image_grid
from genbench.training.every import Every
from genbench.training.module import TrainingModule
from genbench.training.selection import Selection
from genbench.training.sharding import at_hand

Look = Callable[[], tuple[Tensor, Mapping[str, float], Sequence[str] | None]]
"""Draws uint8 images [N,C,H,W] of a fixed seed and measures them; and the captions, if any, they were drawn from."""

CAPTIONED = 16
"""Images that are logged one by one where they have captions."""


@runtime_checkable
class ImageLogger(Protocol):
    """A logger that takes pictures, as Lightning's W&B logger does."""

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None: ...


class Preview(pl.Callback):
    """At every multiple of `every` images and at the end, off the clock: a sheet of samples and numbers.

    Samples are those of the averaged weights. `look` may not touch the global random stream, so that a run with
    previews equals one without. `selection`, if any, is offered the averaged weights with every look. `looked_at` is
    the image count of the last look, and `numbers` what it measured, in the first process.
    """

    def __init__(self, folder: Path, every: int, look: Look, selection: Selection | None = None) -> None:
        self.folder, self.every, self.look = folder, Every(every, "preview_every"), look
        self.selection = selection
        self.looked_at, self.numbers = 0, dict[str, float]()

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self.every.start(module.images_seen)
        if self.selection is not None and module.images_seen == 0 and trainer.is_global_zero:
            self.selection.clear()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        if self.every.due(module.images_seen) or module.images_seen >= module.images:
            self.looked_at = module.images_seen
            with module.off_the_clock():
                if module.sharded or trainer.is_global_zero:
                    self.show(trainer, module)

    def show(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Draws, measures and logs; where a model is sharded all processes draw, and the first one logs."""
        with module.ema.applied(), at_hand(module.model):
            module.model.eval()
            try:
                images, numbers, captions = self.look()
            finally:
                module.model.train()
        # of a sharded model all put the weights together, whether they are the best or not
        whole = module.averaged_state_dict() if module.sharded and self.selection is not None else {}
        if not trainer.is_global_zero:
            return
        self.numbers = dict(numbers)
        record = {**numbers, "seconds": module.elapsed()}
        sheet = image_grid(images)
        self._save(sheet, module.images_seen)
        for logger in trainer.loggers:
            logger.log_metrics(record, step=module.images_seen)
            if isinstance(logger, ImageLogger):
                _log(logger, images, sheet, captions, module.images_seen)
        if self.selection is not None:
            value = numbers[self.selection.metric]
            self.selection.offer(module.images_seen, value, lambda: whole or module.averaged_state_dict())

    def state_dict(self) -> dict[str, Any]:
        return {} if self.selection is None else {"selection": self.selection.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self.selection is not None:
            self.selection.load_state_dict(state_dict["selection"])

    def _save(self, sheet: Image.Image, images: int) -> None:
        content = io.BytesIO()
        sheet.save(content, format="PNG")
        write_atomically(self.folder / f"{images:010d}.png", content.getvalue())


def _log(logger: ImageLogger, images: Tensor, sheet: Image.Image, captions: Sequence[str] | None, seen: int) -> None:
    """A sheet, or beside it the first images with what each was asked to show."""
    logger.log_image("samples", [sheet], step=seen)
    if captions is not None:
        shown = [image_grid(image[None]) for image in images[:CAPTIONED]]
        logger.log_image("captioned", shown, step=seen, caption=list(captions[: len(shown)]))
