"""One epoch of Fashion-MNIST: our loader against torchvision's dataset, ToTensor and DataLoader.

    python benchmarks/loader.py --root FOLDER --repeats 5

Both deliver shuffled float batches of 128 with labels, in the same process on one thread, turn and turn about
(on a busy machine, threads that wait for each other would be measured instead of the loaders). The figures are
images per second, median over the repeats, and their ratio (the bar is 20).
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import FashionMNIST as TorchvisionFashionMNIST
from torchvision.transforms import ToTensor

from genbench.data.module import ImageDataModule
from genbench.data.torchvision_sets import FashionMNIST

BATCH = 128
BAR = 20.0


def ours(root: str | None) -> tuple[Callable[[int], int], str]:
    """A function that reads epoch number `seed` and returns how many images came, and the data's root."""
    dataset = FashionMNIST(root=root)
    n = len(dataset.table("train"))

    def epoch(seed: int) -> int:
        data = ImageDataModule(dataset, BATCH, n, seed)
        return sum(len(data.on_after_batch_transfer(batch, 0)) for batch in data.train_dataloader())

    return epoch, str(dataset.root)


def torchvisions(root: str) -> Callable[[int], int]:
    """The same for the usual recipe."""
    loader = DataLoader(TorchvisionFashionMNIST(root, transform=ToTensor()), batch_size=BATCH, shuffle=True)
    return lambda seed: sum(len(image) for image, _ in loader)


def images_per_second(epoch: Callable[[int], int], seed: int) -> float:
    """Speed of one epoch by the wall clock."""
    start = time.perf_counter()
    return epoch(seed) / (time.perf_counter() - start)


def main() -> None:
    """Prints both speeds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="torchvision's root folder, writable; default as for data=fashion_mnist")
    parser.add_argument("--repeats", type=int, default=5, help="epochs of each loader (default 5)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    genbench, root = ours(arguments.root)
    torchvision = torchvisions(root)
    speeds = [
        (images_per_second(genbench, seed), images_per_second(torchvision, seed)) for seed in range(arguments.repeats)
    ]
    ratio = statistics.median(our / their for our, their in speeds)
    print(f"genbench     {statistics.median(our for our, _ in speeds):12,.0f} images/s")
    print(f"torchvision  {statistics.median(their for _, their in speeds):12,.0f} images/s")
    print(f"ratio        {ratio:12.1f}  (bar {BAR:.0f}: {'met' if ratio >= BAR else 'MISSED'})")


if __name__ == "__main__":
    main()
