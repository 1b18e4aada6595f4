"""The controls of captions: real pictures of the wrong ones, and of the nearest that training knows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genbench.evaluation.sources.base import ImageSource
from genbench.evaluation.sources.table import Table

CHUNK = 256
"""Prompts compared with all training captions at once; moves memory alone."""


class ChanceSource(ImageSource):
    """Real images in the order of their captions, dealt out at random: what a model scores that ignores captions."""

    def __init__(self, table: Table, prompts: Sequence[str], name: str) -> None:
        super().__init__(name, len(prompts))
        self.table, self.prompts = table, prompts
        self.dealt = np.random.default_rng(0).permutation(len(prompts))

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        taken = self.table.take([int(self.dealt[index]) for index in indices])
        return taken.image, taken.label

    def captions(self, indices: Sequence[int]) -> list[str] | None:
        return [self.prompts[index] for index in indices]


class RetrievalSource(ImageSource):
    """For each prompt the training image with the nearest caption, the first of equals.

    Captions are compared as sets of words, by the cosine: what looking up gets right without understanding order.
    """

    def __init__(self, train: Table, prompts: Sequence[str], name: str) -> None:
        super().__init__(name, len(prompts))
        self.train, self.prompts = train, prompts

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        taken = self.train.take([int(self._nearest[index]) for index in indices])
        return taken.image, taken.label

    def captions(self, indices: Sequence[int]) -> list[str] | None:
        return [self.prompts[index] for index in indices]

    @cached_property
    def _nearest(self) -> Tensor:
        """The training image [N] of each prompt."""
        known = dict.fromkeys(self.train.caption or ())
        first = {caption: row for row, caption in reversed(list(enumerate(self.train.caption or ())))}
        every = {word for text in (*known, *self.prompts) for word in text.split()}
        words = {word: place for place, word in enumerate(sorted(every))}
        wanted, given = _bags(self.prompts, words), _bags(list(known), words)
        parts = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
        best = torch.cat([(some @ given.T).argmax(1) for some in parts])
        rows = torch.tensor([first[caption] for caption in known])
        return rows[best]


def _bags(captions: Sequence[str], words: dict[str, int]) -> Tensor:
    """Float32 [N,words], the captions as unit vectors of their words."""
    bags = torch.zeros(len(captions), len(words))
    for row, caption in enumerate(captions):
        bags[row, [words[word] for word in caption.split()]] = 1.0
    return torch.nn.functional.normalize(bags)
