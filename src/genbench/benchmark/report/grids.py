"""Sheets of images: a column per class where labels are known."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from genbench.benchmark.report.page import Images, Labels

COLUMNS = 10
TILE = 64  # pixels: larger images are shrunk to it
BLANK = -1


@dataclass(frozen=True)
class Layout:
    """Which image stands where, int [R,K] with BLANK for none, and the class over each column, if known."""

    index: npt.NDArray[np.int64]
    classes: list[int] | None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.index.shape[0], self.index.shape[1]


def arrange(count: int, labels: Labels | None, rows: int, columns: int = COLUMNS) -> Layout:
    """The first images of each class, a class a column; without labels the first images row by row.

    Of more than `columns` classes the first ones are shown.
    """
    if labels is None:
        rows = min(rows, math.ceil(count / columns))
        index = np.full(rows * columns, BLANK, dtype=np.int64)
        shown = min(count, rows * columns)
        index[:shown] = np.arange(shown)
        return Layout(index.reshape(rows, columns), None)
    classes = [int(label) for label in np.unique(labels)[:columns]]
    members = [np.flatnonzero(labels == label)[:rows] for label in classes]
    table = np.full((max((len(m) for m in members), default=0), len(classes)), BLANK, dtype=np.int64)
    for column, indices in enumerate(members):
        table[: len(indices), column] = indices
    return Layout(table, classes)


def sheet(images: Images, layout: Layout, gap: int = 1) -> Image.Image:
    """The images [N,H,W,C] on a transparent sheet, at their own size, `gap` pixels apart."""
    rows, columns = layout.shape
    height, width, channels = images.shape[1:]
    mode, blank = ("LA", (0, 0)) if channels == 1 else ("RGBA", (0, 0, 0, 0))
    canvas = Image.new(mode, (columns * (width + gap) - gap, rows * (height + gap) - gap), blank)
    for row, column in np.ndindex(rows, columns):
        chosen = int(layout.index[row, column])
        if chosen != BLANK:
            canvas.paste(tile(images[chosen]), (column * (width + gap), row * (height + gap)))
    return canvas


def tile(image: Images) -> Image.Image:
    """One image [H,W,C] as a picture, grey for one channel."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def shrink(images: Images, side: int = TILE) -> Images:
    """The images no larger than `side` pixels, averaged down."""
    longest = max(images.shape[1:3])
    if longest <= side or not len(images):
        return images
    size = (max(1, images.shape[2] * side // longest), max(1, images.shape[1] * side // longest))
    small = [np.asarray(tile(image).resize(size, Image.Resampling.BOX)) for image in images]
    return np.stack(small).reshape(len(images), size[1], size[0], images.shape[-1])


def magnification(width: int) -> int:
    """Whole factor at which a tile is shown, so that small images can be seen and large ones fit."""
    return max(1, 40 // width)


@dataclass(frozen=True)
class Picture:
    """A sheet as it stands in the page: data URI, CSS size in pixels, classes over its columns, alternative text."""

    uri: str
    width: int
    height: int
    classes: list[int] | None
    alt: str
    pixelated: bool


def picture(images: Images, labels: Labels | None, rows: int, of: str) -> Picture | None:
    """A sheet of at most `rows` rows, ready for the page; None without images."""
    if not len(images):
        return None
    images = shrink(images)
    layout = arrange(len(images), labels, rows)
    drawn = sheet(images, layout, gap=1 if images.shape[2] <= 16 else 2)
    scale = magnification(images.shape[2])
    order = "one column per class" if layout.classes is not None else "in the order drawn"
    alt = f"{int((layout.index != BLANK).sum())} {of}, {order}"
    return Picture(data_uri(drawn), drawn.width * scale, drawn.height * scale, layout.classes, alt, pixelated=scale > 1)


def data_uri(image: Image.Image) -> str:
    """The picture as a PNG inside a URI."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def rows_within(budget: int, image_shapes: Sequence[tuple[Any, ...]], most: int = 8) -> int:
    """How many rows every sheet may have so that all of them together stay under `budget` bytes unpacked."""
    row_bytes = 0
    for shape in image_shapes:
        ratio = min(1.0, TILE / max(shape[1:3])) if len(shape) == 4 and shape[0] else 0.0
        row_bytes += int(COLUMNS * math.prod(shape[1:]) * ratio**2)
    return max(1, min(most, budget // max(1, row_bytes)))
