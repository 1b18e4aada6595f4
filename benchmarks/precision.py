"""What each numeric setting makes of a training step of DDPM's U-Net at 32x32, and of diffusers' loop beside it.

    python benchmarks/precision.py [--width 128] [--batch 128] [--steps 100] [--rounds 5] [--settings fp32 bf16 ...]

`training_step.py` says what both loops do; diffusers' runs as its example does by default, in 32 bits. `default` is
ours: on CUDA convolutions take TF32, as torch has it, and so do diffusers'. Rounds alternate. Of each setting:
milliseconds of a step and images a second (medians of the rounds), MFU (operations as `budget=flops` counts them, over
the fastest product of matrices that this device makes under the setting), on CUDA the most memory of its tensors, and
diffusers' time over its own, in the median and from the least to the most of a round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from genbench.app.budget import flops_per_image
from genbench.training.numerics import numerics
from genbench.training.peak import forget_peak_memory, peak_flops, peak_memory
from training_step import CUDA, Task, images, quiet

DEVICE = torch.device("cuda", 0) if CUDA else torch.device("cpu")


@dataclass(frozen=True)
class Setting:
    """How a training computes, by the names of its config; `tf32` is whether convolutions may."""

    precision: str = "32-true"
    matmul_precision: str = "highest"
    tf32: bool = True
    channels_last: bool = False
    compile: bool = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        """What torch keeps for the whole process."""
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = self.tf32
        try:
            with numerics(self.matmul_precision):
                yield
        finally:
            torch.backends.cudnn.allow_tf32 = before


SETTINGS = {
    "fp32": Setting(tf32=False),
    "default": Setting(),
    "tf32": Setting(matmul_precision="high"),
    "bf16": Setting("bf16-mixed"),
    "bf16_channels_last": Setting("bf16-mixed", channels_last=True),
    "bf16_compile_channels_last": Setting("bf16-mixed", channels_last=True, compile=True),
}


@dataclass(frozen=True)
class Side:
    """One of those that take turns: seconds of a step of it, under a setting."""

    setting: Setting
    step: Callable[[], float]

    def timed(self) -> tuple[float, float]:
        """Seconds of a step, and GiB."""
        forget_peak_memory(DEVICE)
        with self.setting.applied():
            return self.step(), peak_memory(DEVICE)

    def peak(self) -> float:
        """Operations a second that this device can make under the setting."""
        with self.setting.applied():
            return peak_flops(DEVICE, self.setting.precision)


def ours(task: Task, setting: Setting, steps: int) -> Side:
    """Our training."""
    layout = {"channels_last": setting.channels_last, "compile": setting.compile}
    return Side(setting, lambda: task.ours(steps, setting.precision, **layout).seconds)


def table(task: Task, sides: dict[str, Side], rounds: int) -> None:
    """Runs and prints them."""
    operations = flops_per_image(task.config, task.dataset) * task.batch
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 else reversed(sides):
            found[name].append(sides[name].timed())
    print(f"{'':>28}  {'ms':>8} {'images/s':>9} {'MFU':>6} {'GiB':>6}  diffusers / this")
    for name, turns in found.items():
        seconds = statistics.median(each for each, _ in turns)
        ratios = [theirs / own for (theirs, _), (own, _) in zip(found["diffusers"], turns, strict=True)]
        memory = f"{max(gib for _, gib in turns):6.2f}" if CUDA else f"{'-':>6}"
        print(
            f"{name:>28}  {1000 * seconds:8.1f} {task.batch / seconds:9.1f} "
            f"{operations / seconds / sides[name].peak():6.3f} {memory}  "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


def native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself: without, it gains little or nothing over 32 bits."""
    if CUDA:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    told = Path("/proc/cpuinfo")
    flags = set(told.read_text().split()) if told.is_file() else set()
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=128 if CUDA else 16, help="of the U-Net (default 128, CPU: 16)")
    parser.add_argument("--batch", type=int, default=128 if CUDA else 64)
    parser.add_argument("--steps", type=int, default=100 if CUDA else 5, help="timed in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=[*SETTINGS] if CUDA else ["default", "bf16"])
    arguments = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory() as folder:
        images(Path(folder) / "images.npz", 4096)
        task = Task(Path(folder) / "images.npz", arguments.width, arguments.batch)
        where = torch.cuda.get_device_name() if CUDA else f"{torch.get_num_threads()} threads"
        bfloat16 = "has" if native_bfloat16() else "has no"
        print(f"width {arguments.width}, batch {arguments.batch}, {where}, which {bfloat16} instructions for bfloat16")
        sides = {"diffusers": Side(Setting(), lambda: task.diffusers(arguments.steps))}
        sides |= {name: ours(task, SETTINGS[name], arguments.steps) for name in arguments.settings}
        table(task, sides, arguments.rounds)


if __name__ == "__main__":
    main()
