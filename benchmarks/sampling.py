"""What our sampling loop costs over bare network calls, and against diffusers' pipelines, at 32x32.

    python benchmarks/sampling.py [--width 128] [--batch 16] [--steps 20] [--rounds 7]

One `UNet2DModel` (--width 128: DDPM's) with the same weights for all: our model's `sample`, as many bare calls of the
same network on tensors at hand, and diffusers' DDIM and DDPM pipelines at as many steps. Rounds alternate; figures are
medians of the rounds' ratios. The bar is 1.03 over bare calls, and 1.00 over the pipelines.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from genbench.app.build import build, resolve
from genbench.app.compose import compose
from genbench.core import Condition, Conditioning, GenerativeModel, SeededNoise

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")


def ours(sampler: str, width: int, steps: int) -> GenerativeModel:
    """A diffusion over the U-Net of a width, drawing by a sampler."""
    spec = ["data.spec.channels=3", "data.spec.height=32", "data.spec.width=32"]
    choices = ["model=ddpm", "scheduler=linear", "backbone=ddpm_cifar10", "model.conditional=false"]
    sizes = [f"backbone.channels={[width, 2 * width, 2 * width, 2 * width]}", f"backbone.embedding={4 * width}"]
    config = compose("train", [*spec, *choices, *sizes, f"sampler={sampler}", f"sampler.steps={steps}", "logger=none"])
    torch.manual_seed(0)
    model: GenerativeModel = build(resolve(config)["model"])
    return model.eval().to(DEVICE)


def pipeline(sampler: str, backbone: Any) -> Callable[[int, int], object]:
    """diffusers' pipeline with the weights of our network: (batch, steps) -> images."""
    diffusers: Any = importlib.import_module("diffusers")
    network = diffusers.UNet2DModel.from_config({**backbone.unet.config, "class_embed_type": None})
    network.load_state_dict(backbone.unet.state_dict())
    schedule = getattr(diffusers, f"{sampler.upper()}Scheduler")(timestep_spacing="trailing")
    pipe = getattr(diffusers, f"{sampler.upper()}Pipeline")(network.eval().to(DEVICE), schedule)
    pipe.set_progress_bar_config(disable=True)
    return lambda batch, steps: pipe(batch_size=batch, num_inference_steps=steps, output_type="np")


def seconds(what: Callable[[], object]) -> float:
    """Time by the wall clock until the device is done."""
    if CUDA:
        torch.cuda.synchronize()
    start = time.perf_counter()
    what()
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.no_grad()
def compare(sampler: str, width: int, batch: int, steps: int, rounds: int) -> None:
    """Prints the median milliseconds and ratios of one sampler."""
    model = ours(sampler, width, steps)
    x, t = torch.randn(batch, 3, 32, 32, device=DEVICE), torch.rand(batch, device=DEVICE)
    embedding = Conditioning(torch.zeros(batch, 4 * width, device=DEVICE))
    theirs = pipeline(sampler, model.network)
    sides: dict[str, Callable[[], object]] = {
        "bare": lambda: [model.network(x, t, embedding) for _ in range(steps)],
        "sample": lambda: model.sample(SeededNoise(0, range(batch), DEVICE), Condition()),
        "pipeline": lambda: theirs(batch, steps),
    }
    for side in sides.values():
        side()
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 else reversed(sides):
            found[name].append(1000 * seconds(sides[name]) / steps)
    print(f"{sampler}, {steps} steps, batch {batch}, width {width}, {torch.get_num_threads()} threads, {DEVICE}")
    for name, taken in found.items():
        ratios = [a / b for a, b in zip(found["sample"], taken, strict=True)]
        print(
            f"  {name:>8}  {statistics.median(taken):8.2f} ms a step, sample / this: {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})",
            flush=True,
        )


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=128 if CUDA else 32, help="of the U-Net (default 128, CPU: 32)")
    parser.add_argument("--batch", type=int, default=64 if CUDA else 16)
    parser.add_argument("--steps", type=int, default=50 if CUDA else 10)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="diffusers")
    for sampler in ("ddim", "ddpm"):
        compare(sampler, arguments.width, arguments.batch, arguments.steps, arguments.rounds)


if __name__ == "__main__":
    main()
