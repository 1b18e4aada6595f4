"""A linear model whose product is taken in half precision under autocast, and a training of it with scaled losses."""

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.precision import MixedPrecision
from tiny_trainings import bare_trainer
from torch import Tensor, nn

from genbench.core import Batch, Condition, GenerativeModel, ImageSpec, Noise, TrainStep
from genbench.core.model import Losses
from genbench.data.digits import Digits
from genbench.data.module import ImageDataModule
from genbench.training.lr import Cosine
from genbench.training.module import TrainingModule

SPEC = ImageSpec(1, 8, 8, 10, 17)


class Perceptron(GenerativeModel):
    """The image from its label."""

    def __init__(self) -> None:
        super().__init__(SPEC, conditional=True)
        self.layer = nn.Linear(10, 64, bias=False)

    @property
    def network(self) -> nn.Module:
        return self.layer

    def train_steps(self) -> Sequence[TrainStep]:
        return [TrainStep("model", self, self.loss)]

    def onehot(self, batch: Batch) -> Tensor:
        assert batch.label is not None
        return F.one_hot(batch.label, 10).float()

    def distance(self, batch: Batch) -> Tensor:
        return (self.layer(self.onehot(batch)) - batch.image.flatten(1)).square().mean()

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        return {"loss": self.distance(batch)}

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        raise AssertionError("never sampled here")


def scaler(start: float) -> torch.amp.GradScaler:
    """Doubles its scale after three good steps in a row."""
    return torch.amp.GradScaler("cpu", init_scale=start, growth_interval=3)


def module(model: GenerativeModel, images: int, **options) -> TrainingModule:
    return TrainingModule(model, lambda p: torch.optim.Adam(p, lr=0.01), Cosine(warmup=100), images, **options)


def fit(
    module: TrainingModule,
    images: int,
    scaler: torch.amp.GradScaler,
    *callbacks: pl.Callback,
    ckpt: Path | None = None,
    logger: Logger | None = None,
    **trainer: object,
) -> None:
    """Trains on the digits in batches of 64 with this scaler, on the CPU."""
    mixed = MixedPrecision("16-mixed", "cpu", scaler)
    ours = bare_trainer(callbacks, logger=logger or False, plugins=[mixed], **trainer)
    ours.fit(module, ImageDataModule(Digits(), 64, images, seed=5), ckpt_path=ckpt, weights_only=True)
