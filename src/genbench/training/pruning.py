"""A training that is stopped because others of its kind do better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
import torch.distributed as dist

from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.module import TrainingModule
from genbench.training.preview import Preview


class Pruned(Exception):  # noqa: N818  no error: a training that was worth no more
    """Left with everything saved; `images` is how far it came."""

    def __init__(self, images: int) -> None:
        super().__init__(f"pruned at {images} images")
        self.images = images


class Report(Protocol):
    """Whom the previews are told, and who says whether to go on, and keeps it where not."""

    def hopeless(self, step: int, numbers: Mapping[str, float]) -> bool: ...


class Pruning(pl.Callback):
    """Reports every preview but the last, and saves and leaves when that is found hopeless, on all devices together.

    Steps are multiples of `preview_every`, so that trainings of different batch sizes are compared at the same.
    `report` is that of the first process, None in others.

    Raises:
        Pruned: it was found hopeless.
    """

    def __init__(self, preview: Preview, checkpoint: ResumeCheckpoint, report: Report | None) -> None:
        self.preview, self.checkpoint, self.report = preview, checkpoint, report

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        seen, every = module.images_seen, self.preview.every.images
        if self.preview.looked_at != seen or seen >= module.images:
            return
        with module.off_the_clock():  # its file may be busy
            hopeless = self.report is not None and self.report.hopeless(seen // every * every, self.preview.numbers)
        if self._agreed(hopeless, trainer.world_size):
            self.checkpoint.save(trainer, module)
            raise Pruned(seen)

    @staticmethod
    def _agreed(hopeless: bool, devices: int) -> bool:
        if devices == 1:
            return hopeless
        found = torch.tensor(int(hopeless))
        dist.broadcast(found, 0)
        return bool(found)
