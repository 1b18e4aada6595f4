"""What the Lightning module costs over a bare PyTorch loop that does the same work, as a ratio in one run.

    python benchmarks/overhead.py [--model ddpm] [--rounds 7] [--batches 60]

Both make the same optimiser steps on the same digits with the same clipping, average and learning rate; the
Lightning side also records losses and shows progress, as `genbench train` does. Rounds alternate; the median
of the rounds' ratios is the figure. The bar is 1.03.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from genbench.app.build import build, open_data
from genbench.app.compose import compose
from genbench.app.fitting import fit, trainer_of
from genbench.core import Batch, GenerativeModel, StreamNoise
from genbench.core.pixels import to_float
from genbench.data.dataset import ImageDataset
from genbench.data.module import ImageDataModule
from genbench.data.order import BatchOrder
from genbench.training.ema import EMA
from genbench.training.jsonl import JsonlLogger
from genbench.training.lr import Constant
from genbench.training.module import TrainingModule
from genbench.training.progress import Progress
from genbench.training.recorder import Recorder

WARM = 5
BATCH = 64


class Stopwatch(pl.Callback):
    """Seconds from the end of the warm-up to the end of training."""

    def __init__(self) -> None:
        self.start, self.seconds = 0.0, 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if batch_idx == WARM:
            self.start = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seconds = time.perf_counter() - self.start


def lightning_seconds(model: GenerativeModel, dataset: ImageDataset, batches: int, config: Mapping[str, Any]) -> float:
    """Seconds of `batches` steps of the Lightning module."""
    module = TrainingModule(model, lambda p: torch.optim.AdamW(p, lr=1e-4), Constant(), batches * BATCH)
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [Recorder(2000), Progress("lightning"), watch]
        trainer = trainer_of(config, Path(folder), callbacks, [JsonlLogger(Path(folder) / "log.jsonl")])
        fit(trainer, module, ImageDataModule(dataset, BATCH, (batches + WARM) * BATCH, seed=0), seed=0)
    return watch.seconds


def bare_seconds(model: GenerativeModel, dataset: ImageDataset, batches: int) -> float:
    """Seconds of the same steps written out."""
    moves = model.train_steps()
    optimizers = [torch.optim.AdamW(move.module.parameters(), lr=1e-4) for move in moves]
    averaged = {id(p) for move in moves if move.averaged for p in move.module.parameters()}
    ema = EMA({n: p for n, p in model.named_parameters() if id(p) in averaged}, 10_000.0, 0.05)
    table, seen, start = dataset.table("train"), 0, 0.0
    for number, indices in enumerate(BatchOrder(len(table), 0, BATCH, 0, (batches + WARM) * BATCH)):
        if number == WARM:
            start = time.perf_counter()
        images = table.take(indices)
        batch = Batch(to_float(images.image, dataset.spec.levels), images.label, images.caption, images.index)
        for move, optimizer in zip(moves, optimizers, strict=True):
            mine = {id(p) for p in move.module.parameters()}
            if len(moves) > 1:
                for parameter in model.parameters():
                    parameter.requires_grad_(id(parameter) in mine)
            optimizer.zero_grad(set_to_none=True)
            move.loss(batch, StreamNoise(len(batch)))["loss"].backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(move.module.parameters(), 1.0)
            optimizer.step()
        seen += len(batch)
        ema.update(seen, len(batch))
    return time.perf_counter() - start


def main() -> None:
    """Prints the rounds and their median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ddpm")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=60)
    arguments = parser.parse_args()
    dataset, config = open_data(compose("train", [f"model={arguments.model}", "logger=none", "trainer=cpu"]))
    lightning, ratios = partial(lightning_seconds, config=config), []
    for number in range(arguments.rounds):
        model: GenerativeModel = build(config["model"])
        order = (lightning, bare_seconds) if number % 2 else (bare_seconds, lightning)
        seconds = {side: side(model, dataset, arguments.batches) for side in order}
        ratios.append(seconds[lightning] / seconds[bare_seconds])
        per_step = 1000.0 / arguments.batches
        print(
            f"round {number + 1}: lightning {seconds[lightning] * per_step:.2f} ms a step, "
            f"bare {seconds[bare_seconds] * per_step:.2f} ms, ratio {ratios[-1]:.3f}"
        )
    print(
        f"{arguments.model}: median ratio {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}), {torch.get_num_threads()} threads, batch {BATCH}"
    )


if __name__ == "__main__":
    main()
