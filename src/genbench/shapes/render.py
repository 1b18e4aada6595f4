"""Pictures of scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genbench.shapes.objects import Object
from genbench.shapes.outlines import coverage
from genbench.shapes.palette import COLOURS

CHUNK = 1024
"""Pictures drawn together; moves memory and speed alone."""


def render(pictures: Sequence[Sequence[Object]], side: int) -> Tensor:
    """Antialiased pictures uint8 [N,3,side,side] of objects on black, each pixel by the part that is covered.

    Objects must not share a pixel: their light is added.
    """
    image = torch.empty(len(pictures), 3, side, side, dtype=torch.uint8)
    for start in range(0, len(pictures), CHUNK):
        image[start : start + CHUNK] = _drawn(pictures[start : start + CHUNK], side)
    return image


def _drawn(pictures: Sequence[Sequence[Object]], side: int) -> Tensor:
    canvas = np.zeros((len(pictures), side, side, 3), dtype=np.float32)
    centre = np.arange(side, dtype=np.float32) + 0.5
    for place in range(max(map(len, pictures), default=0)):
        # by the number of the object in its picture, so that no picture occurs twice in an assignment
        by_shape: dict[str, list[tuple[int, Object]]] = {}
        for row, objects in enumerate(pictures):
            if place < len(objects):
                by_shape.setdefault(objects[place].shape, []).append((row, objects[place]))
        for shape, found in by_shape.items():
            rows = [row for row, _ in found]
            numbers = np.array([(o.x, o.y, o.radius) for _, o in found], dtype=np.float32)[..., None, None] * side
            x, y = np.broadcast_arrays(centre[None, :] - numbers[:, 0], centre[:, None] - numbers[:, 1])
            covered = coverage(shape, x, y, numbers[:, 2])
            colour = np.array([COLOURS[o.colour] for _, o in found], dtype=np.float32)
            canvas[rows] += covered[..., None] * colour[:, None, None, :]
    return torch.from_numpy(canvas.round().clip(0, 255).astype(np.uint8)).permute(0, 3, 1, 2)
