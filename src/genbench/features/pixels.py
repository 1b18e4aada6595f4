"""Colours in their places as features: no network, no weights, any images."""

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.core import ImageSpec
from genbench.features.base import FeatureExtractor

SIDE = 8


class Pixels(FeatureExtractor):
    """The mean colour of each cell of an 8x8 grid, in [0,1]: 192 features of RGB images, 64 of grey ones.

    Distances over it see layout and colour and nothing finer; they are comparable only with themselves.
    """

    def __init__(self) -> None:
        name = f"means of {SIDE}x{SIDE} cells"
        super().__init__("pixels", hashlib.sha256(name.encode()).hexdigest(), name, classifies=False)
        # a weight, so that the extractor has a device as all others have
        self.scale = nn.Parameter(torch.tensor(1.0 / 255.0))
        self.freeze()

    def check(self, spec: ImageSpec) -> None:
        """Every image has pixels."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.require_bytes(image)
        cells = F.adaptive_avg_pool2d(image.float() * self.scale, SIDE)
        return {"features": cells.flatten(1), "logits": cells.new_zeros(len(image), 0)}
