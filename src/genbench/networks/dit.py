"""The diffusion transformer (Peebles & Xie 2023): attention over patches, steered by adaptive layer norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.core import Conditioning, ConfigError, Count, ImageSpec
from genbench.networks.backbone import Backbone
from genbench.networks.cross_attention import CrossAttention
from genbench.networks.layers import head_width, rotate, rotations, sinusoidal, zero

PAIRS = 128
"""Frequencies of the time features, as published."""


class Attention(nn.Module):
    """Self-attention over tokens [B,T,D] with normalised queries and keys (Dehghani et al. 2023, section 2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width(width, heads, "backbone.heads")
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm_q, self.norm_k = nn.RMSNorm(self.head_width), nn.RMSNorm(self.head_width)

    def forward(self, x: Tensor, rotation: Tensor | None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, self.head_width)).transpose(1, 3).unbind(2)
        q, k = self.norm_q(q), self.norm_k(k)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        y: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return y


class Block(nn.Module):
    """Attention and MLP, each scaled, shifted and gated by a condition [B,1,D]; at first the identity (adaLN-Zero).

    With a `context` width, attention to the text's tokens stands between them, treated in the same way.
    """

    def __init__(self, width: int, heads: int, context: Count | None = None) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.cross = None if context is None else CrossAttention(width, heads, context)
        self.modulate = nn.Linear(width, (6 if self.cross is None else 9) * width)

    def forward(self, x: Tensor, vector: Tensor, rotation: Tensor | None, condition: Conditioning) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2, *more = self.modulate(vector).split(x.shape[2], dim=2)
        x = torch.addcmul(x, gate1, self.attention(modulated(x, shift1, scale1), rotation))
        if self.cross is not None and condition.tokens is not None and condition.mask is not None:
            shift, scale, gate = more
            x = torch.addcmul(x, gate, self.cross(modulated(x, shift, scale), condition.tokens, condition.mask))
        return torch.addcmul(x, gate2, self.mlp(modulated(x, shift2, scale2)))


class DiT(Backbone):
    """A transformer over patches of the image, one token each.

    `positions` are learned from a start as features of row and column, or rotate queries and keys by both, so that
    attention sees distances only. With a `context` each block also attends to a text's tokens of that width.

    Raises:
        ConfigError: a patch that does not tile the image, heads that do not divide the width, or a width (of heads,
            for rotary positions) that is not divisible by 4.
    """

    def __init__(
        self,
        spec: ImageSpec,
        patch: Count = 4,
        width: Count = 128,
        layers: Count = 6,
        heads: Count = 4,
        positions: Literal["learned", "rotary"] = "learned",
        outputs: int = 1,
        context: Count | None = None,
    ) -> None:
        super().__init__(width, outputs, context)
        self.patch = patch
        (rows, columns), head = grid_of(spec, patch), head_width(width, heads, "backbone.heads")
        inputs = spec.channels * patch**2
        self.stem = nn.Linear(inputs, width)
        self.time = nn.Sequential(nn.Linear(2 * PAIRS, width), nn.SiLU(), nn.Linear(width, width))
        blocks = [Block(width, heads, context) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks)
        self.modulate, self.head = nn.Linear(width, 2 * width), nn.Linear(width, outputs * inputs)
        self.position = nn.Parameter(grid_features(rows, columns, width)) if positions == "learned" else None
        rotation = rotations(rows, columns, head) if positions == "rotary" else None
        self.register_buffer("rotation", rotation, persistent=False)
        self.rotation: Tensor | None
        self.apply(initialise)
        for layer in (self.modulate, self.head, *(block.modulate for block in blocks)):
            zero(layer)

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        return list(self.blocks)

    def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
        # times in [0,1] are spread to 0..1000, the range the frequencies were made for
        time = self.time(sinusoidal(t * 1000.0, PAIRS).to(x.dtype))
        vector = F.silu(time + condition.vector)[:, None]
        patches = F.pixel_unshuffle(x, self.patch)
        h = self.stem(patches.flatten(2).transpose(1, 2))
        if self.position is not None:
            h = h + self.position
        for block in self.blocks:
            h = block(h, vector, self.rotation, condition)
        h = self.head(modulated(h, *self.modulate(vector).chunk(2, dim=2)))
        return F.pixel_shuffle(h.transpose(1, 2).unflatten(2, patches.shape[2:]), self.patch)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Tokens [B,T,D] normalised, then scaled and shifted by [B,1,D]."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-6), 1.0 + scale)


def grid_features(rows: int, columns: int, width: int) -> Tensor:
    """Cosines and sines [rows columns, width] of row and column, half of the width each.

    Raises:
        ConfigError: a width that is not a multiple of four.
    """
    if width % 4:
        raise ConfigError(f"learned positions need a width divisible by 4, not {width}: use another backbone.width")
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.cat([sinusoidal(axis.flatten(), width // 4, max_period=100.0) for axis in (row, column)], dim=1)


def grid_of(spec: ImageSpec, patch: int) -> tuple[int, int]:
    """Rows and columns of patches.

    Raises:
        ConfigError: a patch that does not tile the image.
    """
    if patch < 1 or spec.height % patch or spec.width % patch:
        possible = [p for p in (1, 2, 4, 7, 8, 16) if not (spec.height % p or spec.width % p)]
        raise ConfigError(
            f"backbone.patch={patch} does not tile images of {spec.height}x{spec.width}: use one of {possible}"
        )
    return spec.height // patch, spec.width // patch


def initialise(module: nn.Module) -> None:
    """Xavier-uniform maps without biases."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
