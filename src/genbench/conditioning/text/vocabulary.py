"""The words of the training captions, for encoders that are trained along."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from genbench.conditioning.text.base import TextEncoder
from genbench.core import ConfigError

log = logging.getLogger(__name__)


def words(caption: str) -> list[str]:
    """The words and punctuation marks of a caption, in lower case."""
    return re.findall(r"\w+|[^\w\s]", caption.lower())


def vocabulary_of(captions: Iterable[str]) -> list[str]:
    """All words of captions, in order."""
    return sorted({word for caption in captions for word in words(caption)})


class WordEncoder(TextEncoder):
    """A text encoder over a closed `vocabulary`, which is found in the training captions and kept in the config.

    Raises:
        ConfigError: no vocabulary.
    """

    def __init__(self, width: int, length: int, vocabulary: Sequence[str] | None) -> None:
        super().__init__(width, length)
        if not vocabulary:
            raise ConfigError(
                "this text encoder learns the words of the training captions, and there are none: train it on data "
                "with captions, which fill text_encoder.vocabulary"
            )
        self.number = {word: i for i, word in enumerate(vocabulary, start=1)}  # 0 fills up
        self._strangers: set[str] = set()

    def understands(self, caption: str) -> bool:
        """Whether a word of the caption occurred in training; tells of those that did not, once each."""
        found = set(words(caption))
        self._tell_strangers(found - self.number.keys())
        return not found.isdisjoint(self.number)

    def numbers(self, captions: Sequence[str], device: torch.device) -> Tensor:
        """The numbers int64 [B,T] of the captions' words, filled up with 0; words never seen are left out."""
        rows = []
        for caption in captions:
            known = [self.number[word] for word in words(caption) if word in self.number]
            self.warn_if_cut(len(known), caption)
            rows.append(known[: self.length])
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)

    def _tell_strangers(self, found: set[str]) -> None:
        if new := sorted(found - self._strangers):
            log.warning("words that the training captions never had are left out: %s", ", ".join(new))
            self._strangers |= found
