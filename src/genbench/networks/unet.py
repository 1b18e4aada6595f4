"""A small U-Net for diffusion (Ho et al. 2020, appendix B, at the size of small images)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.core import Conditioning, Count, ImageSpec, Share
from genbench.networks.backbone import Backbone
from genbench.networks.layers import ResBlock, SelfAttention2d, coarsest, group_norm, sinusoidal, zero


class UNet(Backbone):
    """A U-Net that starts by returning zeros.

    One resolution per entry of `channels`, `blocks` residual blocks each, self-attention at the coarsest.

    Raises:
        ConfigError: the image cannot be halved len(channels) - 1 times, or heads that do not divide the last.
    """

    def __init__(
        self,
        spec: ImageSpec,
        channels: Sequence[Count] = (32, 64),
        blocks: Count = 2,
        embedding: Count = 128,
        heads: Count = 4,
        dropout: Share = 0.0,
        outputs: int = 1,
    ) -> None:
        super().__init__(embedding, outputs)
        coarsest(spec.height, spec.width, len(channels) - 1, "the U-Net", "backbone.channels")
        self.pairs = embedding // 2
        self.time = nn.Sequential(nn.Linear(2 * self.pairs, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.stem = nn.Conv2d(spec.channels, channels[0], 3, padding=1)
        width, skips = channels[0], [channels[0]]
        self.down = nn.ModuleList()
        for level, size in enumerate(channels):
            for _ in range(blocks):
                self.down.append(ResBlock(width, size, embedding, dropout))
                width = size
                skips.append(width)
            if level < len(channels) - 1:
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle = nn.ModuleList(
            [
                ResBlock(width, width, embedding, dropout),
                SelfAttention2d(width, heads, "backbone.heads"),
                ResBlock(width, width, embedding, dropout),
            ]
        )
        self.up = nn.ModuleList()
        for level, size in reversed(list(enumerate(channels))):
            for _ in range(blocks + 1):
                self.up.append(ResBlock(width + skips.pop(), size, embedding, dropout))
                width = size
            if level:
                self.up.append(nn.Conv2d(width, width, 3, padding=1))
        self.head = nn.Sequential(
            group_norm(width), nn.SiLU(), zero(nn.Conv2d(width, outputs * spec.channels, 3, padding=1))
        )

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        return [layer for layer in (*self.down, *self.middle, *self.up) if isinstance(layer, ResBlock)]

    def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
        # times in [0,1] are spread to 0..1000, the range the frequencies were made for
        e = F.silu(self.time(sinusoidal(t * 1000.0, self.pairs).to(x.dtype)) + condition.vector)
        h = self.stem(x)
        skips = [h]
        for layer in self.down:
            h = layer(h, e) if isinstance(layer, ResBlock) else layer(h)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, e) if isinstance(layer, ResBlock) else layer(h)
        for layer in self.up:
            if isinstance(layer, ResBlock):
                h = layer(torch.cat([h, skips.pop()], dim=1), e)
            else:
                h = layer(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        out: Tensor = self.head(h)
        return out
