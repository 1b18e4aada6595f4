"""An object of a picture, as drawn or as read, and where it stands from another."""

from __future__ import annotations

import math
from dataclasses import dataclass

from genbench.shapes.outlines import OUTLINES

RADII = {"small": (0.095, 0.11), "large": (0.17, 0.2)}
"""The smallest and largest radius of each size; sizes mean the same in every dataset."""

BETWEEN = math.sqrt(RADII["small"][1] * RADII["large"][0])
"""The radius that parts small from large."""

MARGIN = 1 / 16
"""How far apart two centroids must be for one to stand above or left of the other."""


@dataclass(frozen=True)
class Object:
    """A shape about its centroid; x (rightwards), y (downwards) and radius are fractions of the picture's side."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float

    @property
    def size(self) -> str:
        """`small` or `large`."""
        return "small" if self.radius < BETWEEN else "large"

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        outline, r = OUTLINES[self.shape], self.radius
        return self.x - outline.side * r, self.y - outline.up * r, self.x + outline.side * r, self.y + outline.down * r


def stands(a: Object, relation: str, b: Object) -> bool:
    """Whether a's centroid lies above, below, left of or right of b's by at least a sixteenth of the picture's side."""
    along = {"above": b.y - a.y, "below": a.y - b.y, "left of": b.x - a.x, "right of": a.x - b.x}
    return along[relation] >= MARGIN
