"""The only place where uint8 pixels become floats and back.

A dataset with L grey levels stores level k as the byte round(255 k / (L - 1)) and shows it to a model as
2 k / (L - 1) - 1, so every family rounds to the same levels before it is judged.
"""

import torch
from torch import Tensor


def to_levels(image: Tensor, levels: int = 256) -> Tensor:
    """Nearest level int64 in [0, levels-1] of a float image; values outside [-1,1] are clamped."""
    scaled = (image.float().clamp(-1.0, 1.0) + 1.0) * (0.5 * (levels - 1))
    return scaled.round().long()


def from_levels(level: Tensor, levels: int = 256) -> Tensor:
    """Float32 image in [-1,1] of integer levels in [0, levels-1]."""
    return level.float() * (2.0 / (levels - 1)) - 1.0


def to_float(image: Tensor, levels: int = 256) -> Tensor:
    """Float32 image in [-1,1] of a uint8 one."""
    if levels == 256:
        return from_levels(image)
    return from_levels((image.float() * ((levels - 1) / 255.0)).round(), levels)


def to_uint8(image: Tensor, levels: int = 256) -> Tensor:
    """Uint8 image of a float one in [-1,1], rounded to the nearest of `levels`."""
    level = to_levels(image, levels)
    return (level.double() * (255.0 / (levels - 1))).round().to(torch.uint8)
