"""A caption as a bag of words: an ablation that cannot tell who is above whom."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from genbench.conditioning.text.base import Tokens
from genbench.conditioning.text.vocabulary import WordEncoder
from genbench.core import Count


class BagOfWords(WordEncoder, nn.Module):
    """One learned vector a word, wherever it stands; trained along."""

    def __init__(self, width: Count = 128, length: Count = 64, vocabulary: list[str] | None = None) -> None:
        super().__init__(width, length, vocabulary)
        self.table = nn.Embedding(len(self.number) + 1, width, padding_idx=0)

    def read(self, captions: Sequence[str], device: torch.device) -> Tokens:
        number = self.numbers(captions, device)
        return Tokens(self.table(number), number > 0)
