"""Convolutional maps between images and vectors: the halves of a VAE and of a DCGAN."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.core import ImageSpec
from genbench.networks.layers import ResBlock, coarsest, group_norm


class Encoder(nn.Module):
    """Images [B,C,H,W] and an embedding [B,E] to vectors [B,outputs]; halves the image between `channels`."""

    def __init__(self, spec: ImageSpec, channels: Sequence[int], embedding: int, outputs: int) -> None:
        super().__init__()
        height, width = coarsest(spec.height, spec.width, len(channels) - 1, "the encoder")
        self.stem = nn.Conv2d(spec.channels, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for level, size in enumerate(channels):
            self.blocks.append(ResBlock(channels[max(level - 1, 0)], size, embedding))
        self.head = nn.Sequential(group_norm(size), nn.SiLU(), nn.Flatten(), nn.Linear(size * height * width, outputs))

    def forward(self, image: Tensor, embedding: Tensor | None) -> Tensor:
        h = self.stem(image)
        for level, block in enumerate(self.blocks):
            h = block(F.avg_pool2d(h, 2) if level else h, embedding)
        out: Tensor = self.head(h)
        return out


class Decoder(nn.Module):
    """Vectors [B,inputs] and an embedding [B,E] to maps [B,outputs,H,W]; the encoder turned round."""

    def __init__(self, spec: ImageSpec, channels: Sequence[int], embedding: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.base = coarsest(spec.height, spec.width, len(channels) - 1, "the decoder")
        sizes = list(reversed(channels))
        self.stem = nn.Linear(inputs + embedding, sizes[0] * self.base[0] * self.base[1])
        self.blocks = nn.ModuleList()
        for level, size in enumerate(sizes):
            self.blocks.append(ResBlock(sizes[max(level - 1, 0)], size, embedding))
        self.head = nn.Sequential(group_norm(size), nn.SiLU(), nn.Conv2d(size, outputs, 3, padding=1))

    def forward(self, z: Tensor, embedding: Tensor) -> Tensor:
        h = self.stem(torch.cat([z, embedding], dim=1)).unflatten(1, (-1, *self.base))
        for level, block in enumerate(self.blocks):
            h = block(F.interpolate(h, scale_factor=2.0, mode="nearest") if level else h, embedding)
        out: Tensor = self.head(h)
        return out
