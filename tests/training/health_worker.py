"""One of torchrun's processes: the second has a loss that is not finite, one that only looks so, and a nap."""

import math
import sys
import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from safetensors.torch import save_file
from tiny_trainings import Kept, Regression, bare_trainer

from genbench.core import Batch, Noise
from genbench.core.model import Losses
from genbench.data.digits import Digits
from genbench.data.module import ImageDataModule
from genbench.evaluation.ranks import distributed, rank
from genbench.training.lr import Constant
from genbench.training.module import TrainingModule
from genbench.training.recorder import Recorder
from genbench.training.replicas import Replicas
from genbench.training.watchdog import Watchdog

IMAGES, BATCH = 640, 64


class Faulty(Regression):
    """In the second process, batches 2 and 5 have a loss that is not finite, the latter with sound gradients."""

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        number = round(self.progress * IMAGES / BATCH)
        loss = super().loss(batch, noise)["loss"]
        if rank() == 1:
            loss = loss * math.nan if number == 2 else loss + math.inf if number == 5 else loss
            if number == 7:
                nap()
        return {"loss": loss}


class Slow(pl.Callback):
    """Keeps the first process busy off the clock."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if batch_idx == 3:
            with pl_module.off_the_clock():
                time.sleep(1.0 - rank())


def nap() -> None:
    time.sleep(1.5)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with distributed():
        torch.manual_seed(0)
        module = TrainingModule(Faulty(), lambda p: torch.optim.Adam(p, lr=0.01), Constant(), IMAGES, nonfinite="skip")
        logger = Kept()
        callbacks = [Recorder(BATCH), Slow(), Watchdog(0.5, folder / f"hang-rank{rank()}.txt")]
        trainer = bare_trainer(callbacks, devices=2, strategy=Replicas(), logger=logger)
        trainer.fit(module, ImageDataModule(Digits(), BATCH, IMAGES, seed=5))
        there = {**module.raw_state_dict(), **{f"average of {k}": v for k, v in module.ema.state_dict().items()}}
        there["skipped"] = torch.tensor([record["skipped"] for record in logger.records])
        save_file(there, folder / f"rank{rank()}.safetensors")
