"""Trains the digits domain classifier whose weights ship with genbench.

    python scripts/train_digits_classifier.py [--out FILE]

Reproduces the shipped file on one machine bit for bit: one thread, one seed, training images only.
"""

import argparse
import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor
from tqdm import trange

from genbench.core.files import write_atomically
from genbench.core.pixels import to_float
from genbench.data import ImageTable
from genbench.data.digits import Digits
from genbench.features.domain import SHIPPED, Architecture, ClassifierNet, header

ARCHITECTURE = Architecture(channels=1, height=8, width=8, classes=10)
SEED, EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 0, 80, 64, 3e-3, 1e-2
ROTATION, SCALE, SHIFT, NOISE = 12.0, 0.1, 1.0, 0.1
"""Augmentation: degrees, relative size, pixels (each the largest, drawn uniformly); deviation of pixels in [-1,1]."""


def augment(image: Tensor) -> Tensor:
    """Small random rotations, sizes and shifts, and pixel noise."""
    n, side = len(image), image.shape[-1]

    def spread(largest: float) -> Tensor:
        return (torch.rand(n) * 2.0 - 1.0) * largest

    angle, scale = spread(ROTATION) * (torch.pi / 180.0), 1.0 + spread(SCALE)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    # a shift of one pixel is 2 / side in the coordinates of affine_grid
    x, y = spread(SHIFT) * 2.0 / side, spread(SHIFT) * 2.0 / side
    theta = torch.stack([torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)], 1)
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    # shifted by one, so that the padding of zeros is black
    moved = F.grid_sample(image + 1.0, grid, align_corners=False) - 1.0
    return (moved + NOISE * torch.randn(image.shape)).clamp(-1.0, 1.0)


def tensors(table: ImageTable) -> tuple[Tensor, Tensor]:
    """Images float [N,1,8,8] in [-1,1] and labels of a split."""
    images = table.take(range(len(table)))
    assert images.label is not None
    return to_float(images.image), images.label


def pixels_sha256(table: ImageTable) -> str:
    """Sha256 of a split's bytes, in order."""
    return hashlib.sha256(table.take(range(len(table))).image.numpy().tobytes()).hexdigest()


def train(image: Tensor, label: Tensor) -> ClassifierNet:
    """A classifier fitted with AdamW and a one-cycle learning rate."""
    net = ClassifierNet(ARCHITECTURE)
    batches = len(image) // BATCH
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=EPOCHS * batches)
    for _ in trange(EPOCHS, desc="digits classifier", unit="epoch"):
        for index in torch.randperm(len(image))[: batches * BATCH].view(batches, BATCH):
            loss = F.cross_entropy(net(augment(image[index]))[1], label[index])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def accuracy(net: ClassifierNet, image: Tensor, label: Tensor) -> float:
    """Fraction of images given their own class."""
    return float((net(image)[1].argmax(1) == label).double().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SHIPPED / "digits.safetensors", help="file to write")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    data = Digits()
    train_split, test_split = data.table("train"), data.table("test")
    net = train(*tensors(train_split))
    record = {
        "script": "scripts/train_digits_classifier.py",
        "data": f"scikit-learn digits, {len(train_split)} training and {len(test_split)} test images",
        "train_sha256": pixels_sha256(train_split),
        "test_sha256": pixels_sha256(test_split),
        "train_accuracy": round(accuracy(net, *tensors(train_split)), 6),
        "test_accuracy": round(accuracy(net, *tensors(test_split)), 6),
        "recipe": f"AdamW {LEARNING_RATE:g}, weight decay {WEIGHT_DECAY:g}, one cycle, {EPOCHS} epochs of "
        f"batches of {BATCH}, seed {SEED}; rotation {ROTATION:g} degrees, scale {SCALE:g}, "
        f"shift {SHIFT:g} px, noise {NOISE:g}",
    }
    content = save(net.state_dict(), header(ARCHITECTURE, record))
    write_atomically(out, content)
    print(f"train accuracy {record['train_accuracy']}  test accuracy {record['test_accuracy']}")
    print(f"sha256 {hashlib.sha256(content).hexdigest()}  {len(content)} bytes  {out}")


if __name__ == "__main__":
    main()
