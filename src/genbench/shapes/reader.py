"""Reads the objects off a picture: colours by the palette, objects by connection, shapes by drawing them again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from genbench.shapes.objects import Object
from genbench.shapes.outlines import OUTLINES, coverage
from genbench.shapes.palette import COLOURS, nearest

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

HALF = 0.5
"""How much of a colour a pixel must have to belong to an object: as much as one that the object half covers."""

FITS = 0.7
"""Least overlap (intersection over union of coverages) with a drawn shape for an object to be called that shape."""

EDGES = (1.0, 2.0)
"""Pixels over which the edges of a drawn shape may fade: as sharp as in the data, or out of focus."""

_AROUND = np.ones((3, 3), dtype=bool)


def speck(side: int) -> float:
    """The fewest pixels that make an object: fewer are overlooked, as the eye does.

    Four, or 1/125 of the picture if that is more; the smallest object that is ever drawn has about twice as many.
    """
    return max(4.0, side * side / 125.0)


@dataclass(frozen=True)
class Blob:
    """Something in a picture that is large enough for an object.

    `thing` is None if it looks like no shape, `colour` if it has none of the palette.
    """

    thing: Object | None
    colour: str | None


def read(
    image: NDArray[np.uint8], colours: Sequence[str] = tuple(COLOURS), shapes: Sequence[str] = tuple(OUTLINES)
) -> list[Blob]:
    """What a picture uint8 [3,S,S] on black shows, among these colours and shapes.

    A pixel belongs to an object if it has at least half of a colour. Connected pixels (of eight neighbours) of one
    colour are an object, unless they are a `speck`. Its shape is the one that, drawn with the object's area
    about its centroid, overlaps it most. As bright an area of no known colour is something too.
    """
    names = tuple(colours)
    pixels = image.transpose(1, 2, 0).astype(np.float32)
    which, amount = nearest(pixels, names)
    solid = amount >= HALF
    parts = [(names[c], mask) for c in np.unique(which[solid]) for mask in _connected(solid & (which == c))]
    taken = np.zeros(solid.shape, dtype=bool)
    for _, mask in parts:
        taken |= mask
    blobs = []
    for colour, mask in parts:
        # with its soft edge and whatever specks of other colours are in it, but without its neighbours
        window = ndimage.binary_dilation(mask, _AROUND) & (mask | ~taken)
        blobs.append(Blob(_recognised(np.where(window, amount, 0.0), colour, shapes), colour))
    shining = np.linalg.norm(pixels, axis=-1) >= HALF * min(np.linalg.norm(COLOURS[name]) for name in names)
    return blobs + [Blob(None, None) for _ in _connected(shining & (amount == 0.0))]


def _connected(mask: Mask) -> Iterator[Mask]:
    labels, _ = ndimage.label(mask, _AROUND)
    sizes = np.bincount(labels.ravel())[1:]
    for number in np.flatnonzero(sizes >= speck(len(mask))) + 1:
        yield labels == number


def _recognised(cover: Floats, colour: str, shapes: Sequence[str]) -> Object | None:
    """The object that covers each pixel so much, or None if no shape would."""
    side, area = len(cover), float(cover.sum())
    centre = np.arange(side, dtype=np.float32) + 0.5
    x, y = float(cover.sum(0) @ centre) / area, float(cover.sum(1) @ centre) / area
    dx, dy = np.broadcast_arrays(centre[None, :] - x, centre[:, None] - y)
    best, found = FITS, None
    for shape, edge in product(shapes, EDGES):
        radius = math.sqrt(area / OUTLINES[shape].area)
        drawn = coverage(shape, dx, dy, radius, edge)
        overlap = float(np.minimum(cover, drawn).sum() / np.maximum(cover, drawn).sum())
        if overlap >= best:
            best, found = overlap, Object(shape, colour, x / side, y / side, radius / side)
    return found
