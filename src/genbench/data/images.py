"""Images as datasets hold them: bytes, with their labels, captions and places in the dataset."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """Uint8 images [N,C,H,W], labels int64 [N] or None, captions or None, and dataset index int64 [N]."""

    image: Tensor
    label: Tensor | None
    caption: list[str] | None
    index: Tensor

    def __len__(self) -> int:
        return self.image.shape[0]

    def to(self, device: torch.device | str) -> Images:
        """The same images on `device`; the copy overlaps with computation where the memory is pinned."""
        label = None if self.label is None else self.label.to(device, non_blocking=True)
        image, index = self.image.to(device, non_blocking=True), self.index.to(device, non_blocking=True)
        return Images(image, label, self.caption, index)

    def pin_memory(self) -> Images:
        """The same images in page-locked memory (called by torch's DataLoader)."""
        label = None if self.label is None else self.label.pin_memory()
        return Images(self.image.pin_memory(), label, self.caption, self.index.pin_memory())


class ImageTable(ABC):
    """One split of a dataset: images that can be taken by index, in any order."""

    @property
    @abstractmethod
    def label(self) -> Tensor | None:
        """Every label, int64 [len(self)], or None for data without labels."""

    @property
    @abstractmethod
    def caption(self) -> list[str] | None:
        """Every caption, or None for data without captions; no image is read for it."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, indices: Sequence[int] | Tensor) -> Images:
        """The images at `indices`, in that order.

        Raises:
            DataError: an image that cannot be read.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256, in hex, of what the split holds; each table says of which bytes."""

    def shuffled(self, generator: torch.Generator) -> Tensor:
        """Every index once, int64 [len(self)], in the order of one epoch; `generator` alone decides it.

        A table that is slow to read anywhere may keep images together that lie together.
        """
        return torch.randperm(len(self), generator=generator)


class ResidentTable(ImageTable):
    """Images in memory, on the CPU or a device; its fingerprint covers pixels, labels and captions."""

    def __init__(self, image: Tensor, label: Tensor | None = None, caption: list[str] | None = None) -> None:
        self.image, self._label, self._caption = image, label, caption

    @property
    def label(self) -> Tensor | None:
        return self._label

    @property
    def caption(self) -> list[str] | None:
        return self._caption

    @property
    def nbytes(self) -> int:
        """Bytes the images occupy."""
        return self.image.numel()

    def to(self, device: torch.device | str) -> ResidentTable:
        """The same table on `device`."""
        label = None if self._label is None else self._label.to(device)
        return ResidentTable(self.image.to(device), label, self._caption)

    def select(self, indices: Sequence[int] | Tensor) -> ResidentTable:
        """A table of the images at `indices`, in that order."""
        images = self.take(indices)
        return ResidentTable(images.image, images.label, images.caption)

    def __len__(self) -> int:
        return self.image.shape[0]

    def take(self, indices: Sequence[int] | Tensor) -> Images:
        rows = torch.as_tensor(indices, dtype=torch.int64)
        caption = None if self._caption is None else [self._caption[i] for i in rows.tolist()]
        rows = rows.to(self.image.device)
        label = None if self._label is None else self._label.index_select(0, rows)
        return Images(self.image.index_select(0, rows), label, caption, rows)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps([list(self.image.shape), self._caption]).encode())
        for part in (self.image, self._label):
            if part is not None:
                digest.update(part.contiguous().cpu().numpy().data)
        return digest.hexdigest()


class ReadTable(ImageTable):
    """Images that are read one by one whenever they are taken; `shape` is that of each."""

    shape: torch.Size
    _label: Tensor | None
    _caption: list[str] | None

    @abstractmethod
    def _read(self, row: int) -> Tensor:
        """The image uint8 [C,H,W] of a row.

        Raises:
            DataError: it cannot be read.
        """

    @property
    def label(self) -> Tensor | None:
        return self._label

    @property
    def caption(self) -> list[str] | None:
        return self._caption

    @property
    def nbytes(self) -> int:
        """Bytes the images would occupy in memory."""
        return len(self) * self.shape.numel()

    def take(self, indices: Sequence[int] | Tensor) -> Images:
        rows = torch.as_tensor(indices, dtype=torch.int64)
        image = torch.stack([self._read(row) for row in rows.tolist()])
        caption = None if self._caption is None else [self._caption[row] for row in rows.tolist()]
        return Images(image, None if self._label is None else self._label[rows], caption, rows)

    def filled(self, every: Iterable[Tensor]) -> ResidentTable:
        """The same images in memory, given each of them in order."""
        image = torch.empty(len(self), *self.shape, dtype=torch.uint8)
        for row, pixels in enumerate(every):
            image[row] = pixels
        return ResidentTable(image, self._label, self._caption)
