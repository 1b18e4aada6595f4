"""The colours of the scenes, on black: mixing with the background changes a colour's length, never its direction."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (235, 35, 55),
    "green": (50, 190, 60),
    "blue": (60, 90, 245),
    "yellow": (240, 225, 50),
    "purple": (180, 60, 215),
    "orange": (250, 120, 0),
    "cyan": (50, 205, 225),
    "white": (240, 240, 240),
}
"""Bytes of each colour; no two directions are nearer than 19 degrees."""


ANGLE = 24.0
"""Degrees by which a pixel's direction may miss a colour's: pure red is a red, and grey is no shade of yellow (27)."""


def nearest(pixels: Floats, names: tuple[str, ...]) -> tuple[NDArray[np.int64], Floats]:
    """Which of `names` each pixel float [..., 3] is a shade of, by direction, and how much of it, 0 (black) to 1.

    What is further than `ANGLE` from all of them is none of any. The edge of a shape is a mixture of its colour with
    black, which no other colour of the palette is a mixture of.
    """
    palette = np.array([COLOURS[name] for name in names], dtype=np.float32)
    length = np.linalg.norm(palette, axis=1)
    along = pixels @ (palette / length[:, None]).T
    which = along.argmax(axis=-1)
    toward = np.take_along_axis(along, which[..., None], axis=-1)[..., 0]
    close = toward >= np.cos(np.radians(ANGLE)) * np.linalg.norm(pixels, axis=-1)
    return which, np.where(close, toward / length[which], 0.0).clip(0.0, 1.0)
