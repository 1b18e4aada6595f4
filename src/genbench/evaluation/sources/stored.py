"""Images that exist already: a split of a dataset, a folder, an archive."""

import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genbench.core import DataError
from genbench.evaluation.sources.base import ImageSource

_LOSSY = (".jpg", ".jpeg")
_SUFFIXES = (".png", *_LOSSY)
_IMAGE_KEYS = ("images", "arr_0", "x")
_LABEL_KEYS = ("labels", "arr_1", "y")


class Taken(Protocol):
    """What a table gives: uint8 images [N,C,H,W] and their labels int64 [N] or None."""

    @property
    def image(self) -> Tensor: ...

    @property
    def label(self) -> Tensor | None: ...


class Table(Protocol):
    """Images that can be taken by index, such as a split of a dataset."""

    def __len__(self) -> int: ...

    def take(self, indices: Sequence[int]) -> Taken: ...


class TableSource(ImageSource):
    """A split of a dataset."""

    def __init__(self, table: Table, name: str) -> None:
        super().__init__(name, len(table))
        self.table = table

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        taken = self.table.take(indices)
        return taken.image, taken.label


class FolderSource(ImageSource):
    """Every PNG and JPEG below a folder, in the order of their paths; grey or RGB, all of one size.

    With `class_folders` the first folder level is the class, numbered in alphabetical order.

    Raises:
        DataError: no images, or images outside class folders.
    """

    def __init__(self, path: Path | str, class_folders: bool = False) -> None:
        root = Path(path)
        self.files = sorted(p for p in root.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
        if not self.files:
            raise DataError(f"{root} holds no .png or .jpg images: give a folder of samples, or an .npz file")
        super().__init__(str(root), len(self.files))
        self.labels = _folder_classes(root, self.files) if class_folders else None
        self.first = _read(self.files[0])
        lossy = sum(p.suffix.lower() in _LOSSY for p in self.files)
        if lossy:
            warnings.warn(
                f"{lossy} of {self.size} images in {root} are JPEG, whose compression alone moves FID "
                "(by about 21 at quality 75): save samples as PNG",
                stacklevel=2,
            )

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        images = []
        for i in indices:
            images.append(_read(self.files[i]))
            if images[-1].shape != self.first.shape:
                raise DataError(
                    f"{self.files[i]} is {_size(images[-1])} but {self.files[0]} is {_size(self.first)}: judge "
                    "images of one size and colour mode"
                )
        return torch.stack(images), None if self.labels is None else self.labels[list(indices)]


class NpzSource(ImageSource):
    """An archive of uint8 images NHWC or NHW under `images`, `arr_0` or `x`, as ADM's evaluator reads them.

    Integer labels [N] under `labels`, `arr_1` or `y` are optional.

    Raises:
        DataError: an archive that cannot be read or holds something else; pickled objects are never loaded.
    """

    def __init__(self, path: Path | str) -> None:
        try:
            with np.load(path, allow_pickle=False) as archive:
                image, label = _first(archive, _IMAGE_KEYS), _first(archive, _LABEL_KEYS)
        except (OSError, EOFError, ValueError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path} is not a readable npz of images ({error}): write it with numpy.savez") from error
        if image is None or image.dtype != np.uint8 or image.ndim not in (3, 4) or not len(image):
            found = "none" if image is None else f"{image.dtype} {image.shape}"
            raise DataError(f"{path}: expected uint8 images [N,H,W,C] under {' or '.join(_IMAGE_KEYS)}, found {found}")
        if label is not None and (label.dtype.kind not in "iu" or label.shape != (len(image),)):
            raise DataError(f"{path}: expected {len(image)} integer labels, found {label.dtype} {label.shape}")
        super().__init__(str(path), len(image))
        self.image = torch.from_numpy(image if image.ndim == 4 else image[..., None]).permute(0, 3, 1, 2)
        self.labels = None if label is None else torch.from_numpy(label.astype(np.int64))

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        rows = list(indices)
        return self.image[rows].contiguous(), None if self.labels is None else self.labels[rows]


def _first(archive: "np.lib.npyio.NpzFile", keys: Sequence[str]) -> np.ndarray | None:
    array = next((archive[key] for key in keys if key in archive.files), None)
    # NumPy hands back the raw bytes of an entry that is no array
    if array is not None and not isinstance(array, np.ndarray):
        raise ValueError("an entry is not an array")
    return array


def _folder_classes(root: Path, files: Sequence[Path]) -> Tensor:
    parts = [file.relative_to(root).parts for file in files]
    stray = next((file for file, part in zip(files, parts, strict=True) if len(part) == 1), None)
    if stray is not None:
        raise DataError(f"{stray} lies in no class folder: move it into one, or set class_folders=false")
    names = sorted({part[0] for part in parts})
    return torch.tensor([names.index(part[0]) for part in parts])


def _read(path: Path) -> Tensor:
    try:
        with Image.open(path) as image:
            mode, pixels = image.mode, np.array(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}): mend it or take it out") from error
    if mode not in ("L", "RGB"):
        raise DataError(f"{path} has mode {mode}, expected 8-bit grey (L) or RGB: save it so")
    return torch.from_numpy(pixels).reshape(*pixels.shape[:2], -1).permute(2, 0, 1)


def _size(image: Tensor) -> str:
    return "x".join(map(str, image.permute(1, 2, 0).shape))
