"""A model whose every step can be followed by hand, and trainings short enough to do so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from genbench.core import Batch, Condition, GenerativeModel, ImageSpec, Noise, TrainStep
from genbench.core.model import Losses
from genbench.data.digits import Digits
from genbench.data.images import Images
from genbench.data.module import ImageDataModule
from genbench.training.checkpoint import InPlace
from genbench.training.lr import Cosine
from genbench.training.module import TrainingModule

SPEC = ImageSpec(1, 8, 8, 10, 17)


class Regression(GenerativeModel):
    """A linear model of the image from its label, without noise: every step can be followed by hand."""

    def __init__(self) -> None:
        super().__init__(SPEC, conditional=True)
        self.table = nn.Embedding(10, 64)

    @property
    def network(self) -> nn.Module:
        return self.table

    def train_steps(self) -> Sequence[TrainStep]:
        return [TrainStep("model", self, self.loss)]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        return {"loss": (self.table(batch.label) - batch.image.flatten(1)).square().mean()}

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        raise AssertionError("never sampled here")


def module(model: GenerativeModel, images: int, **options) -> TrainingModule:
    options = {"clip": 1.0, "ema_half_life": 500.0, "ema_rampup": 0.5} | options
    return TrainingModule(model, lambda p: torch.optim.Adam(p, lr=0.01), Cosine(warmup=100), images, **options)


class Flipped(Digits):
    """Digits that are shown mirrored half of the time."""

    def __init__(self) -> None:
        super().__init__(flip=True)


class Doubled(ImageDataModule):
    """Batches in float64, of digits with captions."""

    def on_after_batch_transfer(self, batch: Images, dataloader_idx: int) -> Batch:
        found = super().on_after_batch_transfer(batch, dataloader_idx)
        assert found.label is not None
        caption = [f"digit{number}" for number in found.label.tolist()]
        return Batch(found.image.double(), found.label, caption, found.index)


class Kept(pl.loggers.logger.DummyLogger):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, float]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.records.append(metrics)


def bare_trainer(callbacks: Sequence[pl.Callback], **chosen: Any) -> pl.Trainer:
    """Lightning's for one epoch on the CPU, which writes and prints nothing of its own; on one device unless chosen."""
    usual = {"accelerator": "cpu", "devices": 1, "logger": False, "plugins": [InPlace()]}
    return pl.Trainer(
        **{**usual, **chosen},
        callbacks=list(callbacks),
        max_epochs=1,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def fit(
    module: TrainingModule,
    images: int,
    callbacks: list[pl.Callback],
    ckpt: Path | None = None,
    logger: Kept | None = None,
) -> pl.Trainer:
    trainer = bare_trainer(callbacks, logger=logger or False)
    data = ImageDataModule(Digits(), batch_size=64, images=images, seed=5)
    trainer.fit(module, data, ckpt_path=ckpt, weights_only=True)
    return trainer


class Crash(pl.Callback):
    """Ends a training without a word after so many images."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if pl_module.images_seen >= self.images:
            raise RuntimeError("pulled the plug")
