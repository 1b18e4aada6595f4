"""MNIST, Fashion-MNIST and CIFAR-10, downloaded, checked and unpacked by torchvision."""

import os
from abc import ABC
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torchvision import datasets

from genbench.core import DataError, ImageSpec
from genbench.data.dataset import ImageDataset, Split
from genbench.data.images import ImageTable, ResidentTable

_IDX = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


@dataclass(frozen=True)
class _Facts:
    """What a set holds, and which files torchvision looks for in which folder below its root."""

    name: str
    reader: Any
    spec: ImageSpec
    images: dict[Split, int]
    folder: str
    files: tuple[str, ...]


class TorchvisionSet(ImageDataset, ABC):
    """One of torchvision's sets of small labelled images, with its own training and test split.

    `root` is torchvision's root folder and must be writable, as archives are unpacked in place; null means
    the environment's GENBENCH_DATA, or ~/.cache/genbench. `download` fetches what is missing there.
    """

    facts: ClassVar[_Facts]

    def __init__(
        self, spec: ImageSpec | None = None, root: str | None = None, download: bool = True, flip: bool = False
    ) -> None:
        super().__init__(self.facts.name, self.facts.spec, spec, flip)
        self.root = Path(root or os.environ.get("GENBENCH_DATA", "~/.cache/genbench")).expanduser()
        self.download = download
        self._tables: dict[Split, ResidentTable] = {}

    def table(self, split: Split) -> ImageTable:
        if split not in self._tables:
            self._tables[split] = self._read(split)
        return self._tables[split]

    def _read(self, split: Split) -> ResidentTable:
        try:
            source = self.facts.reader(self.root, train=split == "train", download=self.download)
        except (RuntimeError, OSError, ValueError, AssertionError, EOFError) as error:
            raise DataError(f"{self._advice()} (torchvision: {_last_line(error)})") from error
        image = torch.as_tensor(source.data)
        image = image.unsqueeze(1) if image.ndim == 3 else image.permute(0, 3, 1, 2).contiguous()
        if tuple(image.shape) != (self.facts.images[split], *self.facts.spec.shape):
            raise DataError(f"{self._advice()} (the {split} images have shape {tuple(image.shape)})")
        return ResidentTable(image, torch.as_tensor(source.targets, dtype=torch.int64))

    def _advice(self) -> str:
        return (
            f"{self.name} cannot be read: put {', '.join(self.facts.files)} into {self.root / self.facts.folder} "
            f"(writable, without copies that are half unpacked) or name another root with data.root=FOLDER"
            f"{'' if self.download else ', and have it unpacked or downloaded with data.download=true'}"
        )


class MNIST(TorchvisionSet):
    """Handwritten digits, 28x28 grey (LeCun et al. 1998)."""

    facts = _Facts(
        "mnist",
        datasets.MNIST,
        ImageSpec(1, 28, 28, num_classes=10),
        {"train": 60_000, "test": 10_000},
        "MNIST/raw",
        _IDX,
    )


class FashionMNIST(TorchvisionSet):
    """Pieces of clothing, 28x28 grey (Xiao et al. 2017)."""

    facts = _Facts(
        "fashion_mnist",
        datasets.FashionMNIST,
        ImageSpec(1, 28, 28, num_classes=10),
        {"train": 60_000, "test": 10_000},
        "FashionMNIST/raw",
        _IDX,
    )


class CIFAR10(TorchvisionSet):
    """Photographs of ten kinds of things, 32x32 RGB (Krizhevsky 2009)."""

    facts = _Facts(
        "cifar10",
        datasets.CIFAR10,
        ImageSpec(3, 32, 32, num_classes=10),
        {"train": 50_000, "test": 10_000},
        "",
        ("cifar-10-python.tar.gz",),
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
