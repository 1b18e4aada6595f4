"""What data-parallel training would do on 8 to 512 GPUs: arithmetic on stated assumptions, nothing measured.

    python benchmarks/plan.py [--mfu 0.4] [--network 40e9] [--batch-per-gpu 32]

Prints, for the U-Net of `experiment=cifar10_ddpm` and for DiT-XL/2 on the latents of 256x256 images, the time of a
step and the efficiency against one GPU: of the published batch, which GPUs share, and of one that grows with them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genbench.app.budget import flops_per_image
from genbench.app.build import build, open_data
from genbench.app.compose import compose

GPUS = (8, 16, 32, 64, 128, 256, 512)
PER_NODE = 8
BACKWARD = 2 / 3
"""The backward pass's share of a step's operations, under which communication can hide."""


class Workload(NamedTuple):
    """A model: parameters, operations of one image forward and backward, images of a published batch."""

    name: str
    params: float
    flops: float
    batch: int


class Machine(NamedTuple):
    """Operations/s that a GPU sustains; bytes/s around a ring inside a node and between nodes; seconds a message
    takes at least; seconds a step takes at least, in which Python launches its kernels."""

    flops: float
    nvlink: float
    network: float
    latency: float
    floor: float


def dit_xl_2() -> Workload:
    """DiT-XL/2 at 256x256 as published: 675 M parameters, 118.64 G forward (Peebles & Xie 2023, table 4).

    Those are multiply-adds, of two operations each; the backward pass takes twice the forward.
    """
    return Workload("DiT-XL/2", 675e6, 3 * 2 * 118.64e9, 256)


def ddpm_unet() -> Workload:
    """The U-Net of DDPM on CIFAR-10, its operations counted as `budget=flops` does, on noise of that size."""
    with tempfile.TemporaryDirectory() as folder:
        images = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
        np.savez(Path(folder) / "noise.npz", images=images)
        chosen = ["experiment=cifar10_ddpm", "data=npz", f"data.train={folder}/noise.npz", "trainer=auto"]
        dataset, config = open_data(compose("train", chosen))
        params = sum(parameter.numel() for parameter in build(config["model"]).parameters())
        return Workload("DDPM U-Net", params, flops_per_image(config, dataset), config["budget"]["batch_size"])


def all_reduce_seconds(size: float, gpus: int, machine: Machine) -> float:
    """A ring's: each GPU sends its `size` bytes 2(N-1)/N times, in 2(N-1) messages (Patarasuk & Yuan 2009)."""
    slowest = machine.nvlink if gpus <= PER_NODE else min(machine.nvlink, machine.network)
    return 2 * (gpus - 1) * (size / gpus / slowest + machine.latency)


def compute_seconds(work: Workload, images: float, machine: Machine) -> float:
    """A step of so many images on one GPU."""
    return max(work.flops * images / machine.flops, machine.floor)


def step_seconds(compute: float, communication: float, overlap: bool) -> float:
    """One after the other, as `training/replicas.py` does it, or under the backward pass as far as that lasts."""
    return compute + (max(0.0, communication - BACKWARD * compute) if overlap else communication)


def efficiency(work: Workload, images: float, gpus: int, machine: Machine, overlap: bool, alone: float) -> float:
    """Images/s of `gpus`, `images` a step on each, over so many times one GPU's that takes `alone` images a step."""
    message = all_reduce_seconds(4 * work.params, gpus, machine)
    step = step_seconds(compute_seconds(work, images, machine), message, overlap)
    return images / step * compute_seconds(work, alone, machine) / alone


def limits(work: Workload, images: float, gpus: int, machine: Machine) -> str:
    """What is wrong with so many GPUs: less than an image each, kernels launched for longer than they run, or
    gradients averaged for longer than they are computed."""
    wrong = {
        "batch": images < 1,
        "launch": work.flops * images / machine.flops < machine.floor,
        "network": all_reduce_seconds(4 * work.params, gpus, machine) > compute_seconds(work, images, machine),
    }
    return ", ".join(name for name, holds in wrong.items() if holds)


def table(work: Workload, machine: Machine, per_gpu: int | None) -> list[str]:
    """Lines of Markdown, one for each number of GPUs; a batch that they share unless each has its own."""
    lines = ["| GPUs | images each | compute ms | all-reduce ms | efficiency | overlapped | limit |", "|---" * 7 + "|"]
    for gpus in GPUS:
        images = per_gpu or work.batch / gpus
        milliseconds = [
            1e3 * compute_seconds(work, images, machine),
            1e3 * all_reduce_seconds(4 * work.params, gpus, machine),
        ]
        alone = per_gpu or work.batch
        percent = [100 * efficiency(work, images, gpus, machine, overlap, alone) for overlap in (False, True)]
        cells = [f"{gpus}", f"{images:g}", *(f"{x:.1f}" for x in milliseconds), *(f"{x:.0f} %" for x in percent)]
        lines.append(f"| {' | '.join(cells)} | {limits(work, images, gpus, machine)} |")
    return lines


def main() -> None:
    """Prints the assumptions and four tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peak", type=float, default=989e12, help="operations/s of a GPU: an H100's, dense bfloat16")
    parser.add_argument("--mfu", type=float, default=0.4, help="share of the peak that is sustained")
    parser.add_argument("--nvlink", type=float, default=360e9, help="bytes/s around a ring inside a node")
    parser.add_argument("--network", type=float, default=40e9, help="bytes/s between nodes: 400 Gbit/s, 80 %% used")
    parser.add_argument("--latency", type=float, default=5e-6, help="seconds of a message")
    parser.add_argument("--floor", type=float, default=0.02, help="seconds of launching a step's kernels")
    parser.add_argument("--batch-per-gpu", type=int, default=32)
    given = parser.parse_args()
    machine = Machine(given.peak * given.mfu, given.nvlink, given.network, given.latency, given.floor)
    print(", ".join(f"{name} {value:g}" for name, value in vars(given).items()))
    for work in (ddpm_unet(), dit_xl_2()):
        print(
            f"\n{work.name}: {work.params / 1e6:.1f} M parameters, {4 * work.params / 1e6:.0f} MB of gradients, "
            f"{work.flops / 1e9:.1f} G operations an image"
        )
        for title, per_gpu in ((f"a batch of {work.batch}", None), ("a batch that grows", given.batch_per_gpu)):
            print(f"\n{title}:\n", *table(work, machine, per_gpu), sep="\n")


if __name__ == "__main__":
    main()
