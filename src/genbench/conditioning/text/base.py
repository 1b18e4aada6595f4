"""The contract of a text encoder."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from textwrap import shorten
from typing import NamedTuple

import torch
from torch import Tensor

from genbench.core import ConfigError

log = logging.getLogger(__name__)


class Tokens(NamedTuple):
    """The states float [B,T,W] of the tokens of B captions, and a bool mask [B,T] of those that are there."""

    states: Tensor
    mask: Tensor


class TextEncoder(ABC):
    """Reads captions into states of tokens, W = `width` numbers each, and at most `length` tokens.

    One that is a module too is trained along with the model; the others are frozen, and neither optimisers nor
    averages nor checkpoints meet them. A caption's states depend on no other caption.

    Raises:
        ConfigError: a length below one.
    """

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ConfigError(f"text_encoder.length is {length}; expected at least 1 token")
        self.width, self.length, self._warned = width, length, False

    def understands(self, caption: str) -> bool:
        """Whether a caption says anything to this encoder; one that does not counts as empty."""
        return bool(caption.strip())

    @abstractmethod
    def read(self, captions: Sequence[str], device: torch.device) -> Tokens:
        """The states of captions, all of them understood, on a device; at least one token each."""

    def warn_if_cut(self, tokens: int, caption: str) -> None:
        """Says once that captions are longer than the encoder takes."""
        if tokens > self.length and not self._warned:
            self._warned = True
            log.warning(
                "captions are cut to the %d tokens that this text encoder takes; the first such has %d: %r",
                *(self.length, tokens, shorten(caption, 80)),
            )
