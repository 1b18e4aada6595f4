"""A training step of one U-Net at 32x32: genbench against diffusers' unconditional loop.

    python benchmarks/training_step.py [--width 128] [--batch 64] [--steps 20] [--curve N]

Both train the same `UNet2DModel` (--width 128: DDPM's, 35.7 M parameters) to predict the noise, with AdamW, gradients
cut at 1, a learning rate schedule and an average of the weights, on the same images at one precision: genbench by its
Lightning module with its records and progress, the peer by accelerate as diffusers' example of unconditional
generation does it, reading its loss every step. denoising-diffusion-pytorch takes part where it is installed (`pip
install denoising-diffusion-pytorch`), with a U-Net of its own of as many parameters as its widths allow and its
trainer's step and defaults. Rounds alternate; figures are medians of the rounds' ratios. --curve compares losses of
bfloat16 with those of 32 bits over N steps of the same seeds. `precision.py` has the settings that make steps faster.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import logging
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import interpolate, mse_loss

from genbench.app.build import build, open_data
from genbench.app.compose import compose
from genbench.data.dataset import ImageDataset
from genbench.data.module import ImageDataModule
from genbench.training.jsonl import JsonlLogger
from genbench.training.lr import Cosine
from genbench.training.module import TrainingModule
from genbench.training.progress import Progress
from genbench.training.recorder import Recorder

WARM = 3
CUDA = torch.cuda.is_available()


class Steps(pl.Callback):
    """Seconds of every step after the warm-up, and its loss."""

    def __init__(self) -> None:
        self.start, self.count, self.losses = 0.0, 0, list[Tensor]()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, *_: object) -> None:
        self.losses.append(outputs["loss"].detach())
        self.count += 1
        if self.count == WARM:
            self.start = now()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seconds = (now() - self.start) / (self.count - WARM)


def now() -> float:
    """The clock, when all that was asked of the device is done."""
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


def images(path: Path, n: int) -> None:
    """Writes smooth random images, so that there is something to learn."""
    coarse = torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    smooth = interpolate(coarse, size=32, mode="bilinear")
    np.savez(path, x=(255 * smooth).round().byte().permute(0, 2, 3, 1).numpy())


class Task:
    """One network, one data set, one batch size."""

    def __init__(self, data: Path, width: int, batch: int) -> None:
        channels = [width, 2 * width, 2 * width, 2 * width]
        choices = ["model=ddpm", "scheduler=linear", "backbone=ddpm_cifar10", "model.conditional=false", "logger=none"]
        sizes = [f"backbone.channels={channels}", f"backbone.embedding={4 * width}", "data=npz", f"data.train={data}"]
        self.dataset: ImageDataset
        self.dataset, self.config = open_data(compose("train", [*choices, *sizes]))
        self.batch = batch

    def ours(self, steps: int, precision: str = "32-true", **fast: Any) -> Steps:
        """Steps of our module."""
        torch.manual_seed(0)
        total = (steps + WARM) * self.batch
        model = build(self.config["model"])
        module = TrainingModule(model, adamw, Cosine(warmup=10 * self.batch), total, **fast)
        watch = Steps()
        with tempfile.TemporaryDirectory() as folder:
            trainer = pl.Trainer(
                accelerator="gpu" if CUDA else "cpu",
                devices=1,
                precision=precision,  # type: ignore[arg-type]
                max_epochs=1,
                logger=[JsonlLogger(Path(folder) / "log.jsonl")],
                callbacks=[Recorder(2000), Progress("genbench"), watch],
                enable_checkpointing=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                default_root_dir=folder,
            )
            trainer.fit(module, ImageDataModule(self.dataset, self.batch, total, seed=0))
        return watch

    def loader(self) -> torch.utils.data.DataLoader[Tensor]:
        """Float images in shuffled batches, in memory as ours are."""
        table = self.dataset.table("train")
        floats = table.take(range(len(table))).image.float() / 127.5 - 1.0
        return torch.utils.data.DataLoader(list(floats), self.batch, shuffle=True, drop_last=True)  # type: ignore[arg-type]

    def diffusers(self, steps: int) -> float:
        """Seconds a step of a loop as diffusers' example of unconditional generation has it."""
        diffusers, training = library("diffusers"), library("diffusers.training_utils")
        torch.manual_seed(0)
        accelerator = library("accelerate").Accelerator(mixed_precision="no")
        network = diffusers.UNet2DModel.from_config(
            {**build(self.config["backbone"]).unet.config, "class_embed_type": None}
        )
        schedule = diffusers.DDPMScheduler(num_train_timesteps=1000)
        average = training.EMAModel(network.parameters(), use_ema_warmup=True)
        optimizer = adamw(network.parameters())
        rate = library("diffusers.optimization").get_cosine_schedule_with_warmup(optimizer, 10, steps + WARM)
        network, optimizer, loader, rate = accelerator.prepare(network, optimizer, self.loader(), rate)
        average.to(accelerator.device)
        start, done = 0.0, 0
        while done < steps + WARM:
            for clean in loader:
                noise = torch.randn_like(clean)
                t = torch.randint(0, 1000, (len(clean),), device=clean.device)
                with accelerator.accumulate(network):
                    loss = mse_loss(network(schedule.add_noise(clean, noise, t), t).sample, noise)
                    accelerator.backward(loss)
                    if accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(network.parameters(), 1.0)
                    optimizer.step()
                    rate.step()
                    optimizer.zero_grad()
                average.step(network.parameters())
                loss.item()
                done += 1
                if done == WARM:
                    start = now()
                if done == steps + WARM:
                    break
        return (now() - start) / steps

    def denoising_diffusion_pytorch(self, steps: int) -> float:
        """Seconds a step as the library's trainer makes them, with a U-Net of its own and the trainer's defaults."""
        theirs = library("denoising_diffusion_pytorch")
        torch.manual_seed(0)
        device = torch.device("cuda" if CUDA else "cpu")
        # its levels are 1, 2, 4 and 8 times as wide, and a width has to be divisible by its 8 groups
        width = max(8, 8 * round(self.config["backbone"]["channels"][0] / 16))
        network = theirs.Unet(dim=width, dim_mults=(1, 2, 4, 8), flash_attn=CUDA)
        diffusion = theirs.GaussianDiffusion(network, image_size=32, timesteps=1000, objective="pred_noise").to(device)
        optimizer = torch.optim.Adam(diffusion.parameters(), lr=1e-4, betas=(0.9, 0.99))
        average = library("ema_pytorch").EMA(diffusion, beta=0.995, update_every=10)
        print(f"denoising-diffusion-pytorch: {sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters")
        start, loader = 0.0, (batch for _ in itertools.count() for batch in self.loader())
        for done in range(steps + WARM):
            if done == WARM:
                start = now()
            loss = diffusion((next(loader).to(device) + 1.0) / 2.0)
            loss.backward()
            loss.item()
            torch.nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            average.update()
        return (now() - start) / steps


def library(name: str) -> Any:
    """A peer's module, whose types are its own affair."""
    return importlib.import_module(name)


def adamw(parameters: Any) -> torch.optim.Optimizer:
    """The optimiser of all sides."""
    return torch.optim.AdamW(parameters, lr=2e-4)


def alternate(rounds: int, sides: dict[str, Callable[[], float]]) -> None:
    """Prints each side's median milliseconds, and the median ratio of the first's to its own."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 else reversed(sides):
            found[name].append(sides[name]())
    first = next(iter(sides))
    for name, seconds in found.items():
        ratios = [a / b for a, b in zip(found[first], seconds, strict=True)]
        print(
            f"{name:>28}  {1000 * statistics.median(seconds):8.1f} ms a step, {first} / this: "
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
            flush=True,
        )


def curve(task: Task, steps: int) -> None:
    """Prints the mean of the last 100 losses at either precision, same seeds, and its standard error."""
    means = {}
    for precision in ("32-true", "bf16-mixed"):
        last = torch.stack(task.ours(steps, precision, channels_last=True).losses)[-100:].float()
        means[precision] = (last.mean().item(), last.std().item() / math.sqrt(len(last)))
    (exact, error), (fast, _) = means.values()
    print(
        f"loss, mean of the last 100 of {steps} steps: 32 bits {exact:.5f} +- {error:.5f}, bfloat16 {fast:.5f}: "
        f"{abs(fast - exact) / error:.2f} standard errors apart"
    )


def quiet() -> None:
    """Leaves out what the libraries say about loaders and loggers that are not theirs."""
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning|diffusers|accelerate")


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=128 if CUDA else 32, help="of the U-Net (default 128, CPU: 32)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100 if CUDA else 5, help="timed in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--curve", type=int, default=0, help="steps of the comparison of losses, 0 for none")
    arguments = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        images(Path(folder) / "images.npz", 4096)
        task, steps = Task(Path(folder) / "images.npz", arguments.width, arguments.batch), arguments.steps
        parameters = sum(p.numel() for p in build(task.config["backbone"]).parameters())
        where = torch.cuda.get_device_name() if CUDA else f"{torch.get_num_threads()} threads"
        print(f"UNet2DModel of {parameters / 1e6:.2f} M parameters, batch {arguments.batch} at 32x32, {where}")
        sides: dict[str, Callable[[], float]] = {
            "genbench": lambda: task.ours(steps).seconds,
            "diffusers": lambda: task.diffusers(steps),
        }
        if importlib.util.find_spec("denoising_diffusion_pytorch") is None:
            print("denoising-diffusion-pytorch is not installed: left out")
        else:
            sides["denoising-diffusion-pytorch"] = lambda: task.denoising_diffusion_pytorch(steps)
        alternate(arguments.rounds, sides)
        if arguments.curve:
            curve(task, arguments.curve)


if __name__ == "__main__":
    main()
