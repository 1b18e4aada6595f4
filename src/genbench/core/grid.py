"""Sheets of images to look at."""

import math

from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid


def image_grid(images: Tensor, columns: int | None = None, min_side: int = 32) -> Image.Image:
    """A sheet of uint8 images [N,C,H,W], small ones enlarged by a whole factor without smoothing."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    scale = max(1, -(-min_side // images.shape[-1]))
    enlarged = images.cpu().repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    sheet = make_grid(enlarged, nrow=columns, padding=2, pad_value=255)
    return Image.fromarray(sheet.permute(1, 2, 0).numpy())
