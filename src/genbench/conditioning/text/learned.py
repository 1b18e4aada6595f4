"""A small transformer over words, trained along: an ablation of the language model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from genbench.conditioning.text.base import Tokens
from genbench.conditioning.text.vocabulary import WordEncoder
from genbench.core import ConfigError, Count


class LearnedEncoder(WordEncoder, nn.Module):
    """A pre-norm transformer whose words see each other both ways, with learned positions.

    Raises:
        ConfigError: heads that do not divide the width.
    """

    def __init__(
        self,
        width: Count = 128,
        layers: Count = 2,
        heads: Count = 4,
        length: Count = 64,
        vocabulary: list[str] | None = None,
    ) -> None:
        super().__init__(width, length, vocabulary)
        if heads < 1 or width % heads:
            raise ConfigError(f"text_encoder.heads={heads} does not divide text_encoder.width={width}")
        self.table = nn.Embedding(len(self.number) + 1, width, padding_idx=0)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)

    def read(self, captions: Sequence[str], device: torch.device) -> Tokens:
        number = self.numbers(captions, device)
        states = self.table(number) + self.position[: number.shape[1]]
        return Tokens(self.blocks(states, src_key_padding_mask=number == 0), number > 0)
