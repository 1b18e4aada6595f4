"""Images in NumPy's npz archives."""

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genbench.core import DataError, ImageSpec
from genbench.data.dataset import ImageDataset, Split, check_labels, check_levels
from genbench.data.images import ImageTable, ResidentTable
from genbench.data.split import in_test

_IMAGE_KEYS = ("images", "arr_0", "x")
_LABEL_KEYS = ("labels", "arr_1", "y")
_CAPTION_KEYS = ("captions", "caption")


class Npz(ImageDataset):
    """Images of one npz archive, or of two: one to train on, one to test on.

    Without a `test` archive about `test_fraction` of the images are set aside by the hash of their pixels,
    so that no image is on both sides. The classes are counted by the largest training label and the levels
    are 256, unless `spec` says otherwise. `read_npz` says what an archive may hold.

    Raises:
        DataError: an archive that cannot be read, or that does not hold what `spec` says.
    """

    def __init__(
        self,
        train: str,
        test: str | None = None,
        name: str = "npz",
        spec: ImageSpec | None = None,
        test_fraction: float = 0.1,
        flip: bool = False,
    ) -> None:
        whole = read_npz(Path(train))
        super().__init__(name, _facts(whole, spec), spec, flip)
        self._check(whole, train)
        self._test = test
        if test is None:
            self._tables = _hashed_split(whole, test_fraction, train)
        else:
            self._tables = {"train": whole}

    def table(self, split: Split) -> ImageTable:
        if split not in self._tables:
            table = read_npz(Path(str(self._test)))
            self._check(table, str(self._test))
            self._tables[split] = table
        return self._tables[split]

    def _check(self, table: ResidentTable, path: str) -> None:
        found = _facts(table, self.spec)
        if found != self.spec:
            raise DataError(f"{path} holds {found}, but {self.name} has {self.spec}; use an archive of the same kind")
        check_labels(path, table.label, self.spec.num_classes)
        check_levels(path, table.image, self.spec.levels)


def read_npz(path: Path) -> ResidentTable:
    """The images of an archive: uint8 NHWC or NHW under `images`, `arr_0` or `x`.

    Labels (integers [N] under `labels`, `arr_1` or `y`) and captions (strings [N] under `captions` or
    `caption`) are optional. Pickled objects are never loaded.

    Raises:
        DataError: naming the file, and the key if it was opened.
    """
    path = path.expanduser()
    if not path.is_file():
        raise DataError(f"{path} does not exist; give the path of an npz archive, such as data.train=images.npz")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not an npz archive, or is cut short; write it again with numpy.savez")
    image, key = _array(path, _IMAGE_KEYS)
    label, label_key = _array(path, _LABEL_KEYS)
    caption, caption_key = _array(path, _CAPTION_KEYS)
    if image is None:
        raise DataError(f"{path} has no images; expected them under one of the keys {', '.join(_IMAGE_KEYS)}")
    pixels = _pixels(image, f"{path}, key {key}")
    if label is not None:
        _expect_column(label, "iu", "integer labels", len(pixels), f"{path}, key {label_key}")
    if caption is not None:
        _expect_column(caption, "U", "text captions", len(pixels), f"{path}, key {caption_key}")
    return ResidentTable(
        pixels,
        None if label is None else torch.from_numpy(label.astype(np.int64)),
        None if caption is None else caption.tolist(),
    )


def _array(path: Path, keys: tuple[str, ...]) -> tuple[np.ndarray | None, str | None]:
    """The archive's array under the first of `keys` that it has, with that key; None if it has none."""
    key = None
    try:
        with np.load(path, allow_pickle=False) as archive:
            key = next((k for k in keys if k in archive.files), None)
            if key is None:
                return None, None
            values = archive[key]
            if not isinstance(values, np.ndarray):
                raise ValueError("it is not in NumPy's format")
            return values, key
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        place = f"{path}, key {key}" if key else f"{path}"
        raise DataError(f"{place}: cannot be read ({error}); write it again with numpy.savez") from error


def _pixels(image: np.ndarray, place: str) -> Tensor:
    if image.dtype != np.uint8:
        raise DataError(f"{place}: images are {image.dtype}; expected uint8, 0 to 255")
    if image.ndim not in (3, 4) or (image.ndim == 4 and image.shape[3] not in (1, 3)):
        raise DataError(f"{place}: images have shape {image.shape}; expected (N, H, W) or (N, H, W, 1 or 3)")
    if not image.size:
        raise DataError(f"{place}: images have shape {image.shape}; expected at least one image")
    channels_last = torch.from_numpy(image).reshape(*image.shape[:3], -1)
    return channels_last.permute(0, 3, 1, 2).contiguous()


def _expect_column(values: np.ndarray, kinds: str, what: str, n: int, place: str) -> None:
    if values.dtype.kind not in kinds or values.shape != (n,):
        raise DataError(
            f"{place}: found {values.dtype} of shape {values.shape}; expected {what} of shape ({n},), one an image"
        )


def _facts(table: ResidentTable, spec: ImageSpec | None) -> ImageSpec:
    """What the table holds; levels and classes without an image cannot be counted and are taken from `spec`."""
    classes = 0 if table.label is None else max(1, int(table.label.max()) + 1)
    channels, height, width = table.image.shape[1:]
    found = ImageSpec(channels, height, width, num_classes=classes, captions=table.caption is not None)
    if spec is None:
        return found
    return replace(found, levels=spec.levels, num_classes=classes and (spec.num_classes or classes))


def _hashed_split(table: ResidentTable, fraction: float, path: str) -> dict[Split, ResidentTable]:
    test = torch.tensor([in_test(pixels.tobytes(), fraction) for pixels in table.image.numpy()])
    if not 0 < int(test.sum()) < len(table):
        raise DataError(
            f"{path}: setting aside data.test_fraction={fraction} of {len(table)} images leaves "
            f"{int(test.sum())} for testing; name a test archive with data.test=PATH"
        )
    return {"train": table.select((~test).nonzero()[:, 0]), "test": table.select(test.nonzero()[:, 0])}
