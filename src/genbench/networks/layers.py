"""Layers shared by the backbones."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.core import ConfigError, ImageSpec


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation over groups of about four channels or more, at most 32; the same for any batch size."""
    groups = min(32, max(1, channels // 4))
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


def zero(layer: nn.Module) -> nn.Module:
    """The layer with all its weights set to zero, so that a residual branch starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def sinusoidal(position: Tensor, pairs: int, max_period: float = 10_000.0) -> Tensor:
    """Cosine and sine features float32 [B, 2 pairs] of positions [B] (Vaswani et al. 2017, section 3.5)."""
    frequency = torch.exp(torch.arange(pairs, device=position.device) * (-math.log(max_period) / pairs))
    angle = position.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def rotations(rows: int, columns: int, width: int, max_period: float = 100.0) -> Tensor:
    """Cosine and sine [2, rows columns, width / 2] that turn pairs of a head's numbers by row and by column.

    Rotary positions (Su et al. 2021, section 3.2) with one half of the pairs per axis (Heo et al. 2024, section 3.1).

    Raises:
        ConfigError: a width that is not a multiple of four.
    """
    if width % 4:
        raise ConfigError(
            f"rotary positions need heads of a width divisible by 4, not {width}: use another backbone.heads"
        )
    frequency = max_period ** -(torch.arange(width // 4, dtype=torch.float64) * 4 / width)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angle = torch.cat([axis.reshape(-1, 1) * frequency for axis in (row, column)], dim=1)
    return torch.stack([angle.cos(), angle.sin()]).to(torch.get_default_dtype())


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Queries or keys [B,heads,T,width] turned by their positions' rotations [2,T,width / 2]."""
    cos, sin = rotation.to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def coarsest(
    height: int, width: int, halvings: int, who: str, key: str = "model.channels", extra: int = 1
) -> tuple[int, int]:
    """Height and width after `halvings` exact halvings, `extra` fewer than `key` has entries.

    Raises:
        ConfigError: no entry at all, or a size that cannot be halved that often.
    """
    if halvings + extra < 1:
        raise ConfigError(f"{who} has no layers: give {key} at least one entry, such as [32,64]")
    factor = 2**halvings
    if height % factor or width % factor:
        possible = next(h for h in range(halvings, -1, -1) if not (height % 2**h or width % 2**h))
        raise ConfigError(
            f"{who} halves the image {halvings} times and so needs sides divisible by {factor}, but images are "
            f"{height}x{width}; give {key} at most {possible + extra} entries, or resize the data to "
            f"{-(-height // factor) * factor}x{-(-width // factor) * factor}"
        )
    return height // factor, width // factor


def attending(spec: ImageSpec, levels: int, attention: Sequence[int]) -> list[bool]:
    """For each of a U-Net's levels, finest first, whether maps of its height attend.

    Raises:
        ConfigError: images that cannot be halved so often, or heights that no map has.
    """
    coarsest(spec.height, spec.width, levels - 1, "the U-Net", "backbone.channels")
    heights = [spec.height >> level for level in range(levels)]
    if not set(attention) <= set(heights):
        fitting = [height for height in attention if height in heights] or heights
        raise ConfigError(
            f"backbone.attention={list(attention)} names heights the maps never have, which are {heights}: use "
            f"backbone.attention={fitting}"
        )
    return [height in attention for height in heights]


def head_width(width: int, heads: int, key: str = "model.heads") -> int:
    """Width of one attention head.

    Raises:
        ConfigError: heads that do not divide the width.
    """
    if heads < 1 or width % heads:
        possible = [h for h in (1, 2, 4, 8, 16) if width % h == 0]
        raise ConfigError(
            f"{key}={heads} does not divide the attention's width {width}: use one of {possible}, or another width"
        )
    return width // heads


class ResBlock(nn.Module):
    """Pre-activation residual block, optionally steered by an embedding through scale and shift."""

    def __init__(self, inputs: int, outputs: int, embedding: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = group_norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        zero(self.conv2)
        self.modulate = nn.Linear(embedding, 2 * outputs) if embedding else None
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        if self.modulate is not None and embedding is not None:
            scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
            h = h * (1.0 + scale) + shift
        out: Tensor = self.skip(x) + self.conv2(self.dropout(F.silu(h)))
        return out


class SelfAttention2d(nn.Module):
    """Self-attention over the positions of a feature map, as a residual."""

    def __init__(self, channels: int, heads: int, key: str = "model.heads") -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width(channels, heads, key)
        self.norm, self.qkv = group_norm(channels), nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, self.head_width, h * w)
        q, k, v = qkv.transpose(3, 4).unbind(1)
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(b, c, h, w)
        return x + self.out(y)  # type: ignore[no-any-return]
