"""One of two processes whose second overflows at the second batch; leaves its weights and its scales."""

import os
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch
from scaled_models import Perceptron, fit, module, scaler

from genbench.core import Batch
from genbench.evaluation.ranks import distributed
from genbench.training.replicas import Replicas

RANK = int(os.environ["RANK"])


class Uneven(Perceptron):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def distance(self, batch: Batch) -> torch.Tensor:
        self.calls += 1
        return super().distance(batch) * (1e6 if (RANK, self.calls) == (1, 2) else 1.0)


class Scales(pl.Callback):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.seen.append(trainer.precision_plugin.scaler.get_scale())


if __name__ == "__main__":
    with distributed():
        torch.manual_seed(0)
        model, scales = Uneven(), Scales()
        fit(module(model, 256), 256, scaler(1024.0), scales, devices=2, strategy=Replicas())
        torch.save({"weight": model.layer.weight.detach(), "scales": scales.seen}, Path(sys.argv[1]) / f"{RANK}.pt")
