"""Trains a model with dropout in torchrun's processes, and leaves the masks and the noise that each has drawn."""

import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from safetensors.torch import save_file
from tiny_trainings import Crash, Flipped, Regression, bare_trainer, module
from torch import Tensor, nn

from genbench.core import Batch, Noise
from genbench.core.model import Losses
from genbench.data.module import ImageDataModule
from genbench.evaluation.ranks import distributed, rank
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.recorder import Recorder
from genbench.training.replicas import Replicas

IMAGES, BATCH = 256, 64


class Dropping(Regression):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.drawn: dict[str, list[Tensor]] = {"mask": [], "noise": []}

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        mask = self.dropout(torch.ones(len(batch), 64))
        self.drawn["mask"].append(mask)
        self.drawn["noise"].append(noise.normal(4))
        return {"loss": (self.table(batch.label) * mask - batch.image.flatten(1)).square().mean()}


def trained(path: Path, *others: pl.Callback, resumed: bool = False) -> dict[str, Tensor]:
    """Everything drawn, and the weights, of a training from its beginning or a checkpoint."""
    torch.manual_seed(0)
    model, recorder = Dropping(), Recorder(BATCH)
    ours = module(model, IMAGES)
    checkpoint = ResumeCheckpoint(path, path.with_suffix(".before"), BATCH, recorder)
    trainer = bare_trainer([recorder, checkpoint, *others], devices=2, strategy=Replicas())
    pl.seed_everything(1, verbose=False)
    data = ImageDataModule(Flipped(), BATCH, IMAGES, seed=3)
    try:
        trainer.fit(ours, data, ckpt_path=path if resumed else None, weights_only=True)
    except RuntimeError:
        assert others
    return {name: torch.stack(drawn) for name, drawn in model.drawn.items()} | {"table": model.table.weight.detach()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with distributed():
        there = {f"straight/{key}": value for key, value in trained(folder / "straight.ckpt").items()}
        trained(folder / "cut.ckpt", Crash(2 * BATCH))
        there |= {f"resumed/{key}": value for key, value in trained(folder / "cut.ckpt", resumed=True).items()}
        save_file(there, folder / f"rank{rank()}.safetensors")
