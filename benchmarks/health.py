"""What watching the health of a training costs, as a share of its steps.

    python benchmarks/health.py [--model ddpm] [--batch 64] [--steps 2000]

One training as `genbench train` makes it, in which every second step goes without its clock of phases: neighbours are
compared, so that the machine's load is the same for both. With `--batch 1` steps are short, and the microseconds of the
clock stand out. They are also timed by themselves, as are records, and what comes before the first step: counting
operations and measuring the device's peak. The bar is 1 %.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import pytorch_lightning as pl
import torch

from genbench.app.budget import flops_per_image
from genbench.app.build import build, open_data
from genbench.app.compose import compose
from genbench.app.fitting import fit, trainer_of
from genbench.core import GenerativeModel
from genbench.data.module import ImageDataModule
from genbench.training.jsonl import JsonlLogger
from genbench.training.lr import Constant
from genbench.training.module import TrainingModule
from genbench.training.peak import peak_flops, peak_memory
from genbench.training.recorder import Recorder
from genbench.training.watchdog import Watchdog

EVERY = 2000
WARM = 20
PHASES = ("data", "forward_backward", "optimizer", "ema", "rest")


class EverySecond(pl.Callback):
    """Takes the clock's phases away from every second step, and times all."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: object, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        if batch_idx % 2:
            module.clock.enter = lambda phase: None  # type: ignore[method-assign]
        else:
            vars(module.clock).pop("enter", None)
        self.starts.append(time.perf_counter())


def seconds_of(work: object, *arguments: object) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work(*arguments)  # type: ignore[operator]
    return time.perf_counter() - start


def main() -> None:
    """Prints the costs of a step, a record and the start, each beside what it is a share of."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ddpm")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args()
    dataset, config = open_data(compose("train", [f"model={arguments.model}", "logger=none", "trainer=cpu"]))
    model: GenerativeModel = build(config["model"])
    device, images = torch.device("cpu"), arguments.steps * arguments.batch
    counting, measuring = seconds_of(flops_per_image, config, dataset), seconds_of(peak_flops, device, "32-true")
    module = TrainingModule(model, lambda p: torch.optim.AdamW(p, lr=1e-4), Constant(), images)
    watch = EverySecond()
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [Recorder(10 * images), Watchdog(300.0, Path(folder) / "hang.txt"), watch]
        trainer = trainer_of(config, Path(folder), callbacks, [JsonlLogger(Path(folder) / "log.jsonl")])
        fit(trainer, module, ImageDataModule(dataset, arguments.batch, images, seed=0), seed=0)
    vars(module.clock).pop("enter", None)
    steps = [end - start for start, end in zip(watch.starts[WARM:], watch.starts[WARM + 1 :], strict=False)]
    pairs = list(zip(steps[::2], steps[1::2], strict=False))
    differences = [with_ - without for with_, without in pairs]
    bare, extra = statistics.median(without for _, without in pairs), statistics.median(differences)
    low, _, high = statistics.quantiles(differences, n=4)
    alone = statistics.median(seconds_of(lambda: list(map(module.clock.enter, PHASES))) for _ in range(1000))
    record = statistics.median(seconds_of(lambda: (module.clock.shares(), peak_memory(device))) for _ in range(1000))
    print(
        f"{arguments.model}, batch {arguments.batch}, {torch.get_num_threads()} threads, {len(pairs)} pairs of steps\n"
        f"a step: {bare * 1e3:.3f} ms, with its clock {extra * 1e6:+.1f} us, {extra / bare:+.3%} (half of the pairs "
        f"{low / bare:+.1%} to {high / bare:+.1%}); the clock by itself {alone * 1e6:.1f} us, {alone / bare:.3%}\n"
        f"a record: {record * 1e6:.1f} us, {record / (bare * EVERY / arguments.batch):.4%} of {EVERY} images\n"
        f"the start: {counting * 1e3:.0f} ms to count operations, {measuring * 1e3:.0f} ms to measure the peak"
    )


if __name__ == "__main__":
    main()
