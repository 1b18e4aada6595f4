"""A decoder-only transformer with a key-value cache (GPT-2's block, Radford et al. 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench.networks.layers import head_width


class KeyValueCache:
    """Keys and values of all layers for up to `length` positions; `filled` of them are set."""

    def __init__(self, layers: int, batch: int, heads: int, length: int, width: int, like: Tensor) -> None:
        shape = (layers, batch, heads, length, width)
        self.keys, self.values = like.new_empty(shape), like.new_empty(shape)
        self.filled = 0

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Stores new positions [B,heads,T,width] of one layer; returns all of that layer's so far."""
        end = self.filled + key.shape[2]
        self.keys[layer, :, :, self.filled : end] = key
        self.values[layer, :, :, self.filled : end] = value
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


class CausalAttention(nn.Module):
    """Multi-head causal self-attention over [B,T,D]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width(width, heads)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, cache: KeyValueCache | None, layer: int) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, self.head_width).permute(2, 0, 3, 1, 4).unbind(0)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        # one position at the end sees everything and needs no mask; the mask of several fits an empty cache only
        y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
        return self.out(y.transpose(1, 2).reshape(b, t, d))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm attention and MLP; dropout on what each adds, since on the weights it forbids fast attention."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), CausalAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, cache: KeyValueCache | None, layer: int) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), cache, layer))
        return x + self.dropout(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Maps embedded tokens [B,T,D] to logits [B,T,outputs].

    With a cache, T counts only the new positions: any number into an empty cache, then one at a time.

    Raises:
        ConfigError: heads that do not divide the width.
    """

    def __init__(self, width: int, layers: int, heads: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, outputs, bias=False)
        self.apply(_initialise)
        for name, parameter in self.named_parameters():
            if name.endswith(("attention.out.weight", "mlp.2.weight")):
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5)

    def cache(self, batch: int, length: int) -> KeyValueCache:
        """An empty cache for `batch` sequences of up to `length` positions."""
        like = self.head.weight
        return KeyValueCache(len(self.blocks), batch, self.heads, length, self.width // self.heads, like)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        if cache is not None and cache.filled and x.shape[1] > 1:
            raise ValueError(f"{x.shape[1]} positions at once after {cache.filled} cached ones; give one at a time")
        for layer, block in enumerate(self.blocks):
            x = block(x, cache, layer)
        if cache is not None:
            cache.filled += x.shape[1]
        logits: Tensor = self.head(self.norm(x))
        return logits


def _initialise(module: nn.Module) -> None:
    """GPT-2's initialisation: normal with deviation 0.02, zero biases."""
    if isinstance(module, nn.Linear):
        torch.nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            torch.nn.init.zeros_(module.bias)
