"""Fits the small classifier of any labelled images: one thread, one seed, so that a fit can be repeated."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import trange

from genbench.core import DataError
from genbench.core.pixels import to_float
from genbench.features.classifier import Architecture, ClassifierNet

BATCH, LEARNING_RATE, WEIGHT_DECAY = 64, 3e-3, 1e-2
ROTATION, SCALE, SHIFT, NOISE = 12.0, 0.1, 0.125, 0.1
"""Augmentation: degrees, relative size, part of a side (each the largest, drawn uniformly); deviation in [-1,1]."""
IMAGES, MOST_EPOCHS = 240_000, 80
"""Where no epochs are given: about this many images are seen, and none more often than this."""


def default_epochs(n: int) -> int:
    """Epochs over `n` images: many of few, few of many, so that the time stays in minutes."""
    return max(1, min(MOST_EPOCHS, round(IMAGES / max(n, 1))))


def recipe(n: int, epochs: int | None = None, seed: int = 0) -> str:
    """All that decides the weights beside the `n` images, in words."""
    return (
        f"AdamW {LEARNING_RATE:g}, weight decay {WEIGHT_DECAY:g}, one cycle, {epochs or default_epochs(n)} epochs of "
        f"batches of {BATCH}, seed {seed}; rotation {ROTATION:g} degrees, scale {SCALE:g}, "
        f"shift {SHIFT:g} of a side, noise {NOISE:g}"
    )


def fit_classifier(
    image: Tensor, label: Tensor, classes: int, *, epochs: int | None = None, seed: int = 0, progress: bool = False
) -> ClassifierNet:
    """A classifier of uint8 images [N,C,H,W] with labels int64 [N], by AdamW and a one-cycle learning rate.

    The same images, labels, epochs and seed give the same weights bit for bit on one machine; the global random
    stream and the number of threads are left as they were. `epochs` null: see `default_epochs`.

    Raises:
        DataError: no images, images that are not bytes, or labels that do not fit them.
    """
    _check(image, label, classes)
    channels, height, width = image.shape[1:]
    n = len(image)
    image, label, batch, epochs = image.cpu(), label.cpu(), min(BATCH, n), epochs or default_epochs(n)
    batches = n // batch
    with torch.random.fork_rng(devices=[]), _one_thread(), torch.enable_grad():
        torch.manual_seed(seed)
        net = ClassifierNet(Architecture(channels, height, width, classes))
        optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
        for _ in trange(epochs, desc="classifier", unit="epoch", leave=False, disable=not progress):
            for index in torch.randperm(n)[: batches * batch].view(batches, batch):
                # after shrinking, so that large images take little longer
                small = augment(net.shrink(to_float(image[index])))
                loss = F.cross_entropy(net.look(small)[1], label[index])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return net.eval().requires_grad_(False)


def augment(image: Tensor) -> Tensor:
    """Small random rotations, sizes and shifts, and pixel noise, of float images [B,C,H,W] in [-1,1]."""
    n = len(image)

    def spread(largest: float) -> Tensor:
        return (torch.rand(n) * 2.0 - 1.0) * largest

    angle, scale = spread(ROTATION) * (torch.pi / 180.0), 1.0 + spread(SCALE)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    # a whole side is 2 in the coordinates of affine_grid
    x, y = spread(SHIFT) * 2.0, spread(SHIFT) * 2.0
    theta = torch.stack([torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)], 1)
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    # shifted by one, so that the padding of zeros is black
    moved = F.grid_sample(image + 1.0, grid, align_corners=False) - 1.0
    return (moved + NOISE * torch.randn(image.shape)).clamp(-1.0, 1.0)


@torch.no_grad()
def accuracy(net: ClassifierNet, image: Tensor, label: Tensor, batch: int = 1000) -> float:
    """Fraction of uint8 images [N,C,H,W] given their own class, in [0,1]."""
    pairs = zip(torch.split(image.cpu(), batch), torch.split(label.cpu(), batch), strict=True)
    return sum(int((net(to_float(part))[1].argmax(1) == own).sum()) for part, own in pairs) / len(image)


def labelled_sha256(image: Tensor, label: Tensor) -> str:
    """Sha256 of shape, bytes and labels, in order."""
    digest = hashlib.sha256(str(list(image.shape)).encode())
    for part in (image, label):
        digest.update(part.contiguous().cpu().numpy().data)
    return digest.hexdigest()


def _check(image: Tensor, label: Tensor, classes: int) -> None:
    if image.dtype != torch.uint8 or image.ndim != 4:
        raise DataError(
            f"a classifier is fitted to uint8 images [N,C,H,W], these are {str(image.dtype).removeprefix('torch.')} "
            f"{list(image.shape)}: turn them into bytes 0 to 255 first"
        )
    if len(image) == 0 or label.shape != (len(image),):
        raise DataError(
            f"{len(image)} images with labels of shape {list(label.shape)} cannot teach a classifier: give one label "
            "to each of at least one image"
        )
    if int(label.min()) < 0 or int(label.max()) >= classes:
        raise DataError(
            f"labels from {int(label.min())} to {int(label.max())} do not fit {classes} classes; expected 0 to "
            f"{classes - 1}: mend the labels, or say how many classes there are"
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order: with more threads the last bits depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
