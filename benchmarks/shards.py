"""One epoch of PNG files: our shards against torchvision's ImageFolder, and against what a small network can take.

    python benchmarks/shards.py --data cifar10.npz [--images 10000] [--side 32] [--workers 2] [--repeats 5]

The images of an npz archive with labels are written as PNG files of --side pixels in a folder per class, and packed
as `genbench data pack` does. Both sides deliver shuffled float batches of 64 with labels, read by as many workers, on
one thread each, turn and turn about: genbench from shards on disk, torchvision by ImageFolder, ToTensor and DataLoader.
The network is that of --model, whose training steps alone are timed. Figures are images per second, medians over the
repeats, and the medians of the ratios within a repeat.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import ToTensor

from genbench.app.build import build, open_data
from genbench.app.compose import compose
from genbench.core import Batch, GenerativeModel, StreamNoise
from genbench.core.pixels import to_float
from genbench.data.dataset import ImageDataset
from genbench.data.module import ImageDataModule
from genbench.data.npz import read_npz
from genbench.data.pack import Packing, pack

BATCH = 64
STEPS = 3


def write_pngs(archive: Path, root: Path, images: int, side: int) -> None:
    """Train and test folders of PNG files, the test images being the first few of the training images."""
    table = read_npz(archive)
    taken = table.take(range(min(images, len(table))))
    if taken.label is None:
        raise SystemExit(f"{archive} has no labels: torchvision's ImageFolder needs them")
    for i, (pixels, label) in enumerate(zip(taken.image, taken.label.tolist(), strict=True)):
        image = Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize((side, side), Image.Resampling.BICUBIC)
        for split in ("train", "test")[: 1 + (i < BATCH)]:
            folder = root / split / f"{label:03d}"
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{i:06d}.png")
    for folder in (root / "train").iterdir():  # both splits have the same classes
        (root / "test" / folder.name).mkdir(exist_ok=True)
        first = min(folder.iterdir())
        (root / "test" / folder.name / first.name).write_bytes(first.read_bytes())


def ours(dataset: ImageDataset, workers: int) -> Callable[[int], int]:
    """A function that reads epoch number `seed` from shards and returns how many images came."""
    n = len(dataset.table("train"))

    def epoch(seed: int) -> int:
        data = ImageDataModule(dataset, BATCH, n, seed, workers)
        return sum(len(data.on_after_batch_transfer(batch, 0)) for batch in data.train_dataloader())

    return epoch


def torchvisions(root: Path, workers: int) -> Callable[[int], int]:
    """The same for the usual recipe."""
    images = ImageFolder(str(root / "train"), transform=ToTensor())
    loader = DataLoader(images, batch_size=BATCH, shuffle=True, num_workers=workers)
    return lambda seed: sum(len(image) for image, _ in loader)


def training(model: GenerativeModel, dataset: ImageDataset) -> Callable[[int], int]:
    """A function that makes training steps on one batch and returns how many images they took."""
    taken = dataset.table("train").take(range(BATCH))
    batch = Batch(to_float(taken.image), taken.label, taken.caption, taken.index)
    moves = model.train_steps()
    optimizers = [torch.optim.AdamW(move.module.parameters(), lr=1e-4) for move in moves]

    def steps(seed: int) -> int:
        for _ in range(STEPS):
            for move, optimizer in zip(moves, optimizers, strict=True):
                optimizer.zero_grad(set_to_none=True)
                move.loss(batch, StreamNoise(len(batch)))["loss"].backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return STEPS * BATCH

    return steps


def images_per_second(work: Callable[[int], int], seed: int) -> float:
    """Speed by the wall clock."""
    start = time.perf_counter()
    return work(seed) / (time.perf_counter() - start)


def main() -> None:
    """Prints the three speeds and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an npz archive with labels")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=32, help="pixels a side of the PNG files (default 32)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--model", default="vae")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        source, shards = Path(folder) / "png", Path(folder) / "shards"
        write_pngs(arguments.data, source, arguments.images, arguments.side)
        index, _ = pack(source, shards, Packing(shard_images=500))
        overrides = [f"model={arguments.model}", "data=webdataset", f"data.root={shards}", "data.resident_limit=0"]
        dataset, config = open_data(compose("train", [*overrides, "logger=none"]))
        sides = {
            "genbench, shards": ours(dataset, arguments.workers),
            "torchvision, files": torchvisions(source, arguments.workers),
            f"training {arguments.model}": training(build(config["model"]), dataset),
        }
        for work in sides.values():
            work(0)
        rounds = [[images_per_second(work, seed) for work in sides.values()] for seed in range(arguments.repeats)]
    print(f"{len(index.of('train'))} shards, {arguments.side}x{arguments.side} PNG, {arguments.workers} workers")
    for name, speeds in zip(sides, zip(*rounds, strict=True), strict=True):
        print(f"{name:24} {statistics.median(speeds):10,.0f} images/s")
    for number, name in ((1, "torchvision"), (2, "training")):
        ratios = [each[0] / each[number] for each in rounds]
        print(f"genbench / {name:12} {statistics.median(ratios):10.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
