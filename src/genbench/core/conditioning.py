"""What steers a network: a condition once it is numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Conditioning:
    """A vector [B,E] an image, and the states of its text's tokens [B,T,W] for networks that attend to them.

    `mask` bool [B,T] says which tokens are there, at least one an image: the others only fill up.
    """

    vector: Tensor
    tokens: Tensor | None = None
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.vector)

    def then(self, other: Conditioning) -> Conditioning:
        """Both batches as one, the shorter texts filled up."""
        vector = torch.cat([self.vector, other.vector])
        if self.tokens is None or self.mask is None or other.tokens is None or other.mask is None:
            return Conditioning(vector)
        length = max(self.tokens.shape[1], other.tokens.shape[1])
        tokens = [F.pad(c, (0, 0, 0, length - c.shape[1])) for c in (self.tokens, other.tokens)]
        mask = [F.pad(m, (0, length - m.shape[1])) for m in (self.mask, other.mask)]
        return Conditioning(vector, torch.cat(tokens), torch.cat(mask))
