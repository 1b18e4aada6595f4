"""Attention of an image's tokens to its text's."""

import torch.nn.functional as F
from torch import Tensor, nn

from genbench.networks.layers import head_width


class CrossAttention(nn.Module):
    """Tokens [B,T,D] that attend to others [B,S,W], with normalised queries and keys as within the image.

    `mask` bool [B,S] says which of the others are there, at least one an image.
    """

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width(width, heads, "backbone.heads")
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(context, 2 * width), nn.Linear(width, width)
        self.norm_q, self.norm_k = nn.RMSNorm(self.head_width), nn.RMSNorm(self.head_width)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        q = self.norm_q(self.q(x).unflatten(2, (self.heads, -1)).transpose(1, 2))
        k, v = self.kv(context).unflatten(2, (2, self.heads, -1)).transpose(1, 3).unbind(2)
        y = F.scaled_dot_product_attention(q, self.norm_k(k), v, attn_mask=mask[:, None, None])
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out
