"""The shapes, as signed distances from their outlines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]


@dataclass(frozen=True)
class Outline:
    """A shape of radius 1 about its centroid; y points down.

    `distance` is positive outside and exact near straight edges; `area`, and how far the shape reaches `up`, `down`
    and to either `side`, are in units of the radius. The radii are so that shapes of equal radius look equally large.
    """

    distance: Callable[[Floats, Floats], Floats]
    area: float
    up: float
    down: float
    side: float


_SQUARE, _DIAMOND = 0.9, 1.25
_TRIANGLE = 0.62  # from the centroid to an edge
_ARM, _THICK = 1.1, 0.37  # half the length and half the width of a cross's bars
_TIP = 1.4  # of a star, from the centroid


def _circle(x: Floats, y: Floats) -> Floats:
    return np.hypot(x, y) - 1.0


def _square(x: Floats, y: Floats) -> Floats:
    return np.maximum(np.abs(x), np.abs(y)) - _SQUARE


def _triangle(x: Floats, y: Floats) -> Floats:
    return np.maximum(y, math.sqrt(0.75) * np.abs(x) - 0.5 * y) - _TRIANGLE


def _diamond(x: Floats, y: Floats) -> Floats:
    return (np.abs(x) + np.abs(y) - _DIAMOND) * math.sqrt(0.5)


def _cross(x: Floats, y: Floats) -> Floats:
    x, y = np.abs(x), np.abs(y)
    bars: Floats = np.minimum(np.maximum(x - _ARM, y - _THICK), np.maximum(x - _THICK, y - _ARM))
    return bars


def _star(x: Floats, y: Floats) -> Floats:
    # the five lines of a pentagram: a star lies behind all of them but one, its tips beyond that one
    angles = [2.0 * math.pi * k / 5.0 for k in range(5)]
    beyond = np.stack([math.sin(a) * x - math.cos(a) * y for a in angles])
    second: Floats = np.partition(beyond, 3, axis=0)[3]
    return second - _TIP * math.cos(0.4 * math.pi)


_FIFTH = math.pi / 5.0

OUTLINES: dict[str, Outline] = {
    "circle": Outline(_circle, math.pi, 1.0, 1.0, 1.0),
    "square": Outline(_square, 4.0 * _SQUARE**2, _SQUARE, _SQUARE, _SQUARE),
    "triangle": Outline(
        _triangle, math.sqrt(27.0) * _TRIANGLE**2, 2.0 * _TRIANGLE, _TRIANGLE, math.sqrt(3.0) * _TRIANGLE
    ),
    "star": Outline(
        _star,
        10.0 * math.tan(_FIFTH / 2.0) / (3.0 - math.tan(_FIFTH / 2.0) ** 2) * _TIP**2,
        _TIP,
        _TIP * math.cos(_FIFTH),
        _TIP * math.sin(2.0 * _FIFTH),
    ),
    "diamond": Outline(_diamond, 2.0 * _DIAMOND**2, _DIAMOND, _DIAMOND, _DIAMOND),
    "cross": Outline(_cross, 4.0 * _THICK * (2.0 * _ARM - _THICK), _ARM, _ARM, _ARM),
}


def coverage(shape: str, x: Floats, y: Floats, radius: Floats | float, edge: float = 1.0) -> Floats:
    """Part of each pixel, 0 to 1, that a shape of `radius` pixels covers, at offsets x, y in pixels from its centroid.

    A pixel's share follows from the distance of its centre: exact along straight edges parallel to the grid,
    within a few per cent elsewhere. An `edge` of more than one pixel is that of a shape out of focus.
    """
    radius = np.asarray(radius, dtype=np.float32)
    return (0.5 - (radius / edge) * OUTLINES[shape].distance(x / radius, y / radius)).clip(0.0, 1.0)
