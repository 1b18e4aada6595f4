"""A decoder-only transformer with a key-value cache (GPT-2's block, Radford et al. 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KeyValueCache:
    """Keys and values of all layers for up to `length` positions; `filled` of them are set."""

    def __init__(self, layers: int, batch: int, heads: int, length: int, head_dim: int, like: Tensor) -> None:
        shape = (layers, batch, heads, length, head_dim)
        self.keys, self.values = like.new_empty(shape), like.new_empty(shape)
        self.filled = 0


class CausalAttention(nn.Module):
    """Multi-head causal self-attention over [B,T,D]."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, cache: KeyValueCache | None, layer: int) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if cache is not None:
            end = cache.filled + t
            cache.keys[layer, :, :, cache.filled : end] = k
            cache.values[layer, :, :, cache.filled : end] = v
            k, v = cache.keys[layer, :, :, :end], cache.values[layer, :, :, :end]
        # one new position attends to everything before it: no mask needed
        y = F.scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=t > 1
        )
        return self.out(y.transpose(1, 2).reshape(b, t, d))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), CausalAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor, cache: KeyValueCache | None, layer: int) -> Tensor:
        x = x + self.attention(self.norm1(x), cache, layer)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Maps embedded tokens [B,T,D] to logits [B,T,outputs]; with a cache, T counts only the new positions."""

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
