"""Frozen text encoders: what a caption was read as is remembered."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from genbench.conditioning.text.base import TextEncoder, Tokens

MEMORY = 2**31
"""Bytes of states that are remembered; of more, the oldest are forgotten."""


class FrozenTextEncoder(TextEncoder):
    """Reads every caption once, and keeps the states of its tokens in bfloat16 on the CPU.

    `identity` says what decides the states, so that other processes may find them on disk.
    """

    def __init__(self, width: int, length: int, memory: int = MEMORY) -> None:
        super().__init__(width, length)
        self.memory, self._bytes = memory, 0
        self._known: dict[str, Tensor] = {}

    @property
    @abstractmethod
    def identity(self) -> dict[str, object]:
        """What decides the states of a caption, as JSON values."""

    @abstractmethod
    def encode(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        """The states float [T,W] of each caption's own tokens, without any that fill up."""

    def read(self, captions: Sequence[str], device: torch.device) -> Tokens:
        unknown = [text for text in dict.fromkeys(captions) if text not in self._known]
        new = dict(zip(unknown, map(compact, self.encode(unknown, device)), strict=True)) if unknown else {}
        # as one list before anything is forgotten
        states = [new[text] if text in new else self._known[text] for text in captions]
        self.remember(new)
        lengths = torch.tensor([len(s) for s in states])
        padded = pad_sequence(states, batch_first=True)
        mask = torch.arange(padded.shape[1]) < lengths[:, None]
        return Tokens(padded.to(device).float(), mask.to(device))

    def remember(self, states: Mapping[str, Tensor]) -> None:
        """Takes the states [T,W] of captions, and forgets the oldest of what does not fit the memory."""
        for text, state in states.items():
            self._known[text] = state
            self._bytes += state.nbytes
        while self._bytes > self.memory:
            self._bytes -= self._known.pop(next(iter(self._known))).nbytes


def compact(state: Tensor) -> Tensor:
    """States as they are remembered."""
    return state.to(torch.bfloat16).cpu()
