"""A feature table that is filled chunk by chunk."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genbench.core import DataError
from genbench.metrics import FeatureTable

RESIDENT_LIMIT = 2**30
"""Images of more bytes are kept in a file that is mapped into memory, and is gone with the table."""


class Rows:
    """Room for `n` images, made when the first chunk tells the widths; each chunk is copied to its place once.

    `folder` is where images that memory should not hold are put (None: the system's folder for such files).
    """

    def __init__(self, n: int, folder: Path | None = None) -> None:
        self.n, self.folder = n, folder
        self.columns: dict[str, Tensor] = {}
        self.filled = 0

    def put(self, start: int, tensors: dict[str, Tensor]) -> None:
        """Copies a chunk to the rows from `start` on.

        Raises:
            DataError: images unlike those before, or only some of them with labels.
        """
        if not self.columns:
            self.columns = {name: self._room(name, tensor) for name, tensor in tensors.items()}
        if tensors.keys() != self.columns.keys():
            raise DataError(f"the images from number {start} on differ from those before: some have labels, some none")
        for name, tensor in tensors.items():
            room = self.columns[name]
            if tensor.shape[1:] != room.shape[1:]:
                raise DataError(
                    f"the images from number {start} on differ from those before: {name} of shape "
                    f"{tuple(tensor.shape[1:])} and {tuple(room.shape[1:])}; bring them to one size"
                )
            room[start : start + len(tensor)] = tensor
            self.filled += len(tensor)

    def table(self, classifies: bool, caption: list[str] | None = None) -> FeatureTable:
        """The table, once every row is there."""
        assert self.filled == self.n * len(self.columns)
        c = self.columns
        return FeatureTable(c["features"], c["logits"], c.get("label"), classifies, c.get("image"), caption)

    def _room(self, name: str, tensor: Tensor) -> Tensor:
        shape = (self.n, *tensor.shape[1:])
        if name != "image" or self.n * tensor[0].numel() <= RESIDENT_LIMIT:
            return torch.empty(shape, dtype=tensor.dtype)
        # the file has no name: its space is freed with the last reference to the array, and after any crash
        folder = self.folder if self.folder is not None and self.folder.is_dir() else None
        with tempfile.TemporaryFile(dir=folder) as file:
            return torch.from_numpy(np.memmap(file, dtype=np.uint8, mode="w+", shape=shape))
