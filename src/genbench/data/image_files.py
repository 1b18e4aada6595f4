"""Reading image files to bytes of one shape."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genbench.core import ConfigError, DataError
from genbench.data.dataset import check_levels
from genbench.data.images import ReadTable, ResidentTable

Resize = Literal["bilinear", "bicubic", "lanczos", "none"]
Crop = Literal["center", "none"]

_CONVERTIBLE = ("1", "L", "P", "RGB")
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def is_image(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a file of this name is an image: by its suffix, in either case, unless it is hidden."""
    return name.lower().endswith(suffixes) and not name.startswith(".")


def find_images(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """The image files at any depth below a folder, as sorted paths relative to it."""
    paths = (
        Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if is_image(name, suffixes)
    )
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def read_image(path: Path, prepare: Callable[[Image.Image], Image.Image]) -> Tensor:
    """The pixels of one file after `prepare`, uint8 [channels, height, width].

    Raises:
        DataError: naming the file, if it cannot be decoded.
    """
    return decode(path, str(path), prepare)


def decode(file: Path | BinaryIO, place: str, prepare: Callable[[Image.Image], Image.Image]) -> Tensor:
    """The same of a file that may be open already; `place` is what errors call it."""
    try:
        with Image.open(file) as image:
            pixels = np.array(prepare(image))
    except UNREADABLE as error:
        said = str(error).replace(repr(file), "it")  # Pillow names open files by their address
        raise DataError(f"{place} cannot be read as an image ({said}); mend it or take it out") from error
    return torch.from_numpy(pixels).reshape(*pixels.shape[:2], -1).permute(2, 0, 1).contiguous()


@dataclass(frozen=True)
class Decoder(ABC):
    """How a file becomes pixels; the fields of a decoder count in the fingerprint of what it reads."""

    @abstractmethod
    def __call__(self, path: Path) -> Tensor:
        """The file as uint8 [channels, height, width].

        Raises:
            DataError: naming the file and what is wrong with it.
        """


@dataclass(frozen=True)
class FittingDecoder(Decoder):
    """Reads a dataset's files with the chosen channels, and at the chosen size.

    With a `resize` filter (Pillow's, antialiased) the image, or with `crop="center"` its largest centred
    square, becomes `size` x `size`. With `resize="none"` pixels stay as stored, whole or their centred
    `size` x `size`, and the file must be grey for 1 channel and RGB for 3.

    Raises:
        ConfigError: a resize or crop without a size.
    """

    channels: Literal[1, 3] = 3
    size: int | None = None
    resize: Resize = "none"
    crop: Crop = "none"

    def __post_init__(self) -> None:
        if self.size is None and (self.resize, self.crop) != ("none", "none"):
            raise ConfigError(
                f"data.resize={self.resize} data.crop={self.crop} needs a size; type data.size=32 (pixels a side)"
            )

    def __call__(self, path: Path) -> Tensor:
        return read_image(path, lambda image: self._prepared(image, path))

    def fitted(self, image: Image.Image, place: str) -> Tensor:
        """An image that is open already, uint8 [channels, height, width]; `place` is what errors call it.

        Raises:
            DataError: as for a file.
        """
        pixels = np.array(self._prepared(image, place))
        return torch.from_numpy(pixels).reshape(*pixels.shape[:2], -1).permute(2, 0, 1).contiguous()

    def decoded(self, content: bytes, place: str) -> Tensor:
        """The bytes of a file, uint8 [channels, height, width]; `place` is what errors call it.

        Raises:
            DataError: as for a file.
        """
        return decode(BytesIO(content), place, lambda image: self._prepared(image, place))

    def _prepared(self, image: Image.Image, path: Path | str) -> Image.Image:
        return self._resized(self._cropped(self._converted(image, path), path))

    def _converted(self, image: Image.Image, path: Path | str) -> Image.Image:
        mode = "L" if self.channels == 1 else "RGB"
        if image.mode == mode:
            image.load()
            return image
        if self.resize == "none":
            raise DataError(
                f"{path} has mode {image.mode}, expected {mode} for data.channels={self.channels}; choose the "
                f"channels the files have, convert them, or let data.size and data.resize=bicubic do so"
            )
        if image.mode not in _CONVERTIBLE or "transparency" in image.info:
            raise DataError(
                f"{path} has mode {image.mode}{' with transparency' if 'transparency' in image.info else ''}, "
                f"which has no plain {mode} form; save it as 8-bit {mode} on the background you want"
            )
        return image.convert(mode)

    def _cropped(self, image: Image.Image, path: Path | str) -> Image.Image:
        if self.crop == "none":
            return image
        side = min(image.size) if self.resize != "none" else self.size or 0
        if side > min(image.size):
            raise DataError(
                f"{path} is {image.height}x{image.width}, too small for the centred {side}x{side} of "
                f"data.crop=center; type data.resize=bicubic, or a smaller data.size"
            )
        left, top = (image.width - side) // 2, (image.height - side) // 2
        return image.crop((left, top, left + side, top + side))

    def _resized(self, image: Image.Image) -> Image.Image:
        if self.resize == "none" or self.size is None:
            return image
        return image.resize((self.size, self.size), Image.Resampling[self.resize.upper()])


def check_alike(pixels: Tensor, place: str, shape: torch.Size, reference: str, levels: int) -> None:
    """Refuses an image of another shape than the one at `reference`, or with other grey levels.

    Raises:
        DataError: naming `place`.
    """
    if pixels.shape != shape:
        (_, height, width), (_, expected_height, expected_width) = pixels.shape, shape
        raise DataError(
            f"{place} is {height}x{width} but {reference} is {expected_height}x{expected_width}; "
            f"bring them to one size with data.size=32 data.resize=bicubic"
        )
    if levels < 256:
        check_levels(place, pixels, levels)


class StreamedTable(ReadTable):
    """Image files read whenever they are taken, for folders that memory cannot hold.

    `files` are paths relative to `root`. The fingerprint covers the decoder, labels, captions, and every file's
    path, size and time of change: reading the pixels would cost an epoch, so a copy of a folder has another
    fingerprint unless the copy keeps the times.
    """

    def __init__(
        self,
        root: Path,
        files: list[str],
        label: Tensor | None,
        decoder: Decoder,
        reference: Path,
        levels: int,
        caption: list[str] | None = None,
    ) -> None:
        self.root, self.files, self._label, self._caption = root, files, label, caption
        self.decoder, self.reference, self.levels = decoder, reference, levels
        self.shape = decoder(reference).shape

    def __len__(self) -> int:
        return len(self.files)

    def resident(self) -> ResidentTable:
        """The same images, all read into memory."""
        with ThreadPoolExecutor() as pool:
            return self.filled(pool.map(self._read, range(len(self))))

    def fingerprint(self) -> str:
        try:
            files = [(name, *stamp(self.root / name)) for name in self.files]
        except OSError as error:  # such as a link to nothing
            why = error.strerror or error
            raise DataError(f"{error.filename} cannot be read ({why}); mend it or take it out") from error
        label = None if self._label is None else self._label.tolist()
        said = [asdict(self.decoder), files, label] + ([] if self._caption is None else [self._caption])
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def _read(self, row: int) -> Tensor:
        path = self.root / self.files[row]
        pixels = self.decoder(path)
        check_alike(pixels, str(path), self.shape, str(self.reference), self.levels)
        return pixels


def stamp(path: Path) -> tuple[int, int]:
    """A file's size and its time of change in nanoseconds."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
