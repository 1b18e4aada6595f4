"""A U-Net whose bottom is a transformer (Hoogeboom et al. 2023, U-ViT): convolutions draw, tokens plan."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.core import Conditioning, Count, ImageSpec
from genbench.networks.backbone import Backbone
from genbench.networks.dit import PAIRS, Block, grid_of, initialise
from genbench.networks.layers import ResBlock, coarsest, group_norm, head_width, sinusoidal, zero


class UViT(Backbone):
    """One residual block each way per entry of `channels`, each at half the size of the one before; then a transformer.

    The map after the last halving has one token a position, `width` numbers each. With a `context` every block of the
    transformer also attends to a text's tokens of that width. Tokens also paint their own squares of the image, as a
    DiT's do, to which the convolutions add: what a caption says of places hardly comes through these. With a `patch`
    over 1 it works on squares of that many pixels a side, so that large images do not pay for convolutions at every
    pixel. It starts by returning zeros.

    Raises:
        ConfigError: a side that the patch does not divide, or that cannot be halved len(channels) times then; heads
            that do not divide the width.
    """

    def __init__(
        self,
        spec: ImageSpec,
        channels: Sequence[Count] = (16, 32),
        width: Count = 96,
        layers: Count = 3,
        heads: Count = 4,
        outputs: int = 1,
        context: Count | None = None,
        patch: Count = 1,
    ) -> None:
        super().__init__(width, outputs, context)
        who = "the U-ViT" if patch == 1 else f"the U-ViT, after backbone.patch={patch},"
        rows, columns = coarsest(*grid_of(spec, patch), len(channels), who, "backbone.channels", extra=0)
        head_width(width, heads, "backbone.heads")
        self.time = nn.Sequential(nn.Linear(2 * PAIRS, width), nn.SiLU(), nn.Linear(width, width))
        self.patch = patch
        self.stem = nn.Conv2d(spec.channels * patch**2, channels[0], 3, padding=1)
        steps = list(zip(channels, [*channels[1:], width], strict=True))
        self.down = nn.ModuleList(ResBlock(c, c, width) for c, _ in steps)
        self.shrink = nn.ModuleList(nn.Conv2d(c, below, 2, stride=2) for c, below in steps)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(below, c, 2, stride=2) for c, below in steps[::-1])
        self.up = nn.ModuleList(ResBlock(2 * c, c, width) for c, _ in steps[::-1])
        # features of row and column are too alike, for so few places, to be told apart by what has to paint them
        self.position = nn.Parameter(torch.randn(rows * columns, width))
        blocks = [Block(width, heads, context) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks).apply(initialise)
        for block in blocks:
            zero(block.modulate)
        self.square = 2 ** len(channels)
        self.paint = zero(nn.Linear(width, outputs * spec.channels * (patch * self.square) ** 2))
        self.head = nn.Sequential(
            group_norm(channels[0]),
            nn.SiLU(),
            zero(nn.Conv2d(channels[0], outputs * spec.channels * patch**2, 3, padding=1)),
        )

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        return [*self.down, *self.blocks, *self.up]

    def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
        # times in [0,1] are spread to 0..1000, the range the frequencies were made for
        vector = F.silu(self.time(sinusoidal(t * 1000.0, PAIRS).to(x.dtype)) + condition.vector)
        h, skips = self.stem(F.pixel_unshuffle(x, self.patch)), []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            skips.append(block(h, vector))
            h = shrink(skips[-1])
        tokens = h.flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            tokens = block(tokens, vector[:, None], None, condition)
        size = h.shape[2:]
        h = tokens.transpose(1, 2).unflatten(2, size)
        for block, grow in zip(self.up, self.grow, strict=True):
            h = block(torch.cat([grow(h), skips.pop()], dim=1), vector)
        painted = F.pixel_shuffle(self.paint(tokens).transpose(1, 2).unflatten(2, size), self.square)
        return F.pixel_shuffle(self.head(h) + painted, self.patch)
