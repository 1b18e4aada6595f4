"""The control that keeps the layout of real images and loses their detail."""

import math
from collections.abc import Sequence

from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from genbench.core.pixels import to_float, to_uint8
from genbench.evaluation.sources.base import ImageSource
from genbench.evaluation.sources.table import Table, captions_of


class BlurSource(ImageSource):
    """Real images under a Gaussian blur, rounded to the data's grey levels.

    `sigma` is a fraction of the images' shorter side (1/16: 2 pixels of 32), so that it means the same at any size.
    """

    def __init__(self, table: Table, name: str, sigma: float = 1 / 16, levels: int = 256) -> None:
        super().__init__(name, len(table))
        self.table, self.sigma, self.levels = table, sigma, levels

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        taken = self.table.take(indices)
        side = min(taken.image.shape[-2:])
        pixels = self.sigma * side
        # three deviations hold 99.7 % of the kernel; mirrored borders must be smaller than the image
        radius = min(math.ceil(3.0 * pixels), side - 1)
        blurred = gaussian_blur(to_float(taken.image, self.levels), [2 * radius + 1] * 2, [pixels] * 2)
        return to_uint8(blurred, self.levels), taken.label

    def captions(self, indices: Sequence[int]) -> list[str] | None:
        return captions_of(self.table, indices)
