"""Stored samples of any model, read as images of the data they imitate."""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genbench.core import DataError, ImageSpec
from genbench.data.image_files import Decoder, StreamedTable, find_images, read_image
from genbench.data.images import ImageTable, ResidentTable
from genbench.data.npz import read_npz
from genbench.data.sample_zip import ZipTable

_LOSSY = (".jpg", ".jpeg")
_SUFFIXES = (".png", *_LOSSY)
_RESIDENT_LIMIT = 2**30


def read_samples(path: Path, spec: ImageSpec) -> ImageTable:
    """The images of an npz archive, or every PNG and JPEG in a folder or zip in the order of their paths.

    They must have the shape of `spec`, whose other facts may differ; `as_data` says how grey images may be stored.
    Archives can hold labels, an npz captions too: `read_npz` and `ZipTable` say where.

    Raises:
        DataError: nothing there, no images, an image that cannot be read, or one of another shape or mode.
    """
    if path.is_dir():
        return _read_folder(path, spec)
    if not path.exists():
        raise DataError(
            f"{path} does not exist; give a folder of PNGs or an npz archive, such as samples=images.npz, or a zip"
        )
    if path.suffix.lower() == ".zip":
        return _read_zip(path, spec)
    table = read_npz(path)
    return ResidentTable(as_data(table.image, spec, f"{path} holds images that are"), table.label, table.caption)


def as_data(image: Tensor, spec: ImageSpec, subject: str) -> Tensor:
    """Uint8 images [N,C,H,W] in the shape of `spec`.

    Where the data have one channel, RGB images are taken for grey ones if all three channels of every image are
    identical, and keep one of them. Nothing else is converted or resized, as each way to do so moves the score.

    Raises:
        DataError: another shape, or colour; it begins with `subject`.
    """
    grey_as_rgb = spec.channels == 1 and image.shape[1] == 3 and bool((image == image[:, :1]).all())
    fitting = image[:, :1].contiguous() if grey_as_rgb else image
    if tuple(fitting.shape[1:]) != spec.shape:
        found, expected = _size(*image.shape[1:]), _size(*spec.shape)
        colour = ", in colour" if spec.channels == 1 and image.shape[1] == 3 and not grey_as_rgb else ""
        raise DataError(
            f"{subject} {found} (height x width x channels{colour}), but the data they are compared with are "
            f"{expected}; save them as {expected}, or name the data they imitate with data=..."
        )
    return fitting


@dataclass(frozen=True)
class SampleDecoder(Decoder):
    """Reads grey and RGB files as they are stored, if they are `as_data`."""

    spec: ImageSpec

    def __call__(self, path: Path) -> Tensor:
        pixels = read_image(path, lambda image: _grey_or_rgb(image, path))
        return as_data(pixels[None], self.spec, f"{path} is")[0]


def _grey_or_rgb(image: Image.Image, path: Path | str) -> Image.Image:
    if image.mode not in ("L", "RGB"):
        raise DataError(f"{path} has mode {image.mode}, expected 8-bit grey (L) or RGB; save it so")
    return image


def _read_folder(root: Path, spec: ImageSpec) -> ImageTable:
    files = find_images(root, _SUFFIXES)
    if not files:
        raise DataError(f"{root} holds no .png or .jpg images; give a folder of samples, or an npz archive")
    _warn_of_jpeg(files, root)
    table = StreamedTable(root, files, None, SampleDecoder(spec), root / files[0], levels=256)
    return table.resident() if table.nbytes <= _RESIDENT_LIMIT else table


def _read_zip(path: Path, spec: ImageSpec) -> ImageTable:
    def decode(content: io.BytesIO, place: str) -> Tensor:
        try:
            with Image.open(content) as image:
                pixels = torch.from_numpy(np.array(_grey_or_rgb(image, place)))
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise DataError(f"{place} cannot be read as an image ({error}); mend it or take it out") from error
        pixels = pixels.reshape(*pixels.shape[:2], -1).permute(2, 0, 1).contiguous()
        return as_data(pixels[None], spec, f"{place} is")[0]

    table = ZipTable(path, _SUFFIXES, decode)
    _warn_of_jpeg(table.files, path)
    return table.resident() if table.nbytes <= _RESIDENT_LIMIT else table


def _warn_of_jpeg(files: Sequence[str], place: Path) -> None:
    lossy = sum(name.lower().endswith(_LOSSY) for name in files)
    if lossy:
        warnings.warn(
            f"{lossy} of {len(files)} images in {place} are JPEG, whose compression alone moves FID "
            "(by about 21 at quality 75): save samples as PNG",
            stacklevel=4,
        )


def _size(channels: int, height: int, width: int) -> str:
    return f"{height}x{width}x{channels}"
