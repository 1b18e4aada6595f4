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

SHOWN = 40
"""Words of a vocabulary that an error shows."""


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

    def numbers(self, captions: Sequence[str], device: torch.device) -> Tensor:
        """The numbers int64 [B,T] of the captions' words, filled up with 0; words never seen are left out.

        Raises:
            ConfigError: a caption without a single word that was seen.
        """
        rows = []
        for caption in captions:
            found = words(caption)
            known = [self.number[word] for word in found if word in self.number]
            if not known:
                some = ", ".join([*self.number][:SHOWN]) + (", ..." if len(self.number) > SHOWN else "")
                raise ConfigError(f"no word of {caption!r} occurred in the training captions: use some of {some}")
            self._tell_strangers({word for word in found if word not in self.number})
            self.warn_if_cut(len(known), caption)
            rows.append(known[: self.length])
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)

    def _tell_strangers(self, found: set[str]) -> None:
        if new := sorted(found - self._strangers):
            log.warning("words that the training captions never had are left out: %s", ", ".join(new))
            self._strangers |= found
