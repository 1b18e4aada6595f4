"""Samples in a zip of image files, as StyleGAN's and EDM's dataset tools write them."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from genbench.core import DataError
from genbench.data.image_files import is_image
from genbench.data.images import ReadTable, ResidentTable

_UNREADABLE = (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
_LABELS = "dataset.json"

Decode = Callable[[io.BytesIO, str], Tensor]
"""Uint8 [C,H,W] of a file's bytes; the string is how errors name the file."""


class ZipTable(ReadTable):
    """Image files of an open zip, in the order of their paths, read whenever they are taken.

    Labels come from `dataset.json` at the top, {"labels": [["folder/0.png", 6], ...]}, where there is one.

    Raises:
        DataError: not a zip, no images, or labels that do not fit them.
    """

    def __init__(self, path: Path, suffixes: tuple[str, ...], decode: Decode) -> None:
        self.path, self.decode = path, decode
        try:
            self.archive = zipfile.ZipFile(path)
        except _UNREADABLE as error:
            raise DataError(f"{path} is not a zip, or is cut short ({error}); write it again") from error
        names = (name for name in self.archive.namelist() if is_image(PurePosixPath(name).name, suffixes))
        self.files = sorted(names)
        if not self.files:
            raise DataError(f"{path} holds no {' or '.join(suffixes)} images; give a zip of samples")
        self._label = self._labels() if _LABELS in self.archive.namelist() else None
        self._caption, self.shape = None, self._read(0).shape

    def __len__(self) -> int:
        return len(self.files)

    def resident(self) -> ResidentTable:
        """The same images, all read into memory."""
        return self.filled(map(self._read, range(len(self))))

    def fingerprint(self) -> str:
        """SHA-256 of every file's name, checksum and label."""
        files = [(name, self.archive.getinfo(name).CRC) for name in self.files]
        label = None if self._label is None else self._label.tolist()
        return hashlib.sha256(json.dumps([files, label]).encode()).hexdigest()

    def _read(self, row: int) -> Tensor:
        name = self.files[row]
        return self.decode(io.BytesIO(self._bytes(name)), f"{self.path}/{name}")

    def _bytes(self, name: str) -> bytes:
        try:
            return self.archive.read(name)
        except _UNREADABLE as error:
            raise DataError(f"{self.path}/{name} cannot be read ({error}); write the zip again") from error

    def _labels(self) -> Tensor | None:
        place = f"{self.path}/{_LABELS}"
        try:
            pairs: Any = json.loads(self._bytes(_LABELS))["labels"]
            known = None if pairs is None else {str(name): label for name, label in pairs}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f'{place} cannot be read ({error}); expected {{"labels": [["folder/0.png", 6], ...]}}'
            ) from error
        if known is None:
            return None
        wrong = next((name for name in self.files if type(known.get(name)) is not int), None)
        if wrong is not None:
            found = f"the label {known[wrong]}" if wrong in known else "no label"
            raise DataError(f"{place} has {found} for {wrong}; give every image an integer, or take the file out")
        return torch.tensor([known[name] for name in self.files])
