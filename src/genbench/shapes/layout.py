"""Where the objects of a scene go: apart from one another and inside the picture."""

from __future__ import annotations

import random
from collections.abc import Sequence

from genbench.shapes.objects import Object
from genbench.shapes.outlines import OUTLINES

TRIES = 40
"""Places tried for an object before the whole scene is drawn anew."""

Area = tuple[float, float, float, float]
"""Left, top, right and bottom, as fractions of the side."""


def halves(relation: str, cut: float, gap: float) -> tuple[Area, Area]:
    """Where two groups may lie so that the first stands in `relation` to the second, `cut` being between them."""
    before, after = cut - gap / 2.0, cut + gap / 2.0
    if relation in ("above", "below"):
        first, second = (0.0, 0.0, 1.0, before), (0.0, after, 1.0, 1.0)
    else:
        first, second = (0.0, 0.0, before, 1.0), (after, 0.0, 1.0, 1.0)
    return (first, second) if relation in ("above", "left of") else (second, first)


def placed(
    shape: str, colour: str, radius: float, area: Area, others: Sequence[Object], gap: float, rng: random.Random
) -> Object | None:
    """An object somewhere in `area`, at least `gap` from the boxes of `others`; None if no place was found."""
    outline = OUTLINES[shape]
    left, right = area[0] + outline.side * radius, area[2] - outline.side * radius
    top, bottom = area[1] + outline.up * radius, area[3] - outline.down * radius
    if left > right or top > bottom:
        return None
    taken = [other.box for other in others]
    for _ in range(TRIES):
        thing = Object(shape, colour, rng.uniform(left, right), rng.uniform(top, bottom), radius)
        box = thing.box
        if all(_apart(box, other, gap) for other in taken):
            return thing
    return None


def _apart(a: Area, b: Area, gap: float) -> bool:
    (left, top, right, bottom), (left_b, top_b, right_b, bottom_b) = a, b
    return max(left_b - right, left - right_b, top_b - bottom, top - bottom_b) >= gap
