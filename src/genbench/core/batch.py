"""What flows through training and sampling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """What a sample should show: labels int64 [B] and/or captions, or neither."""

    label: Tensor | None = None
    caption: list[str] | None = None

    def to(self, device: object) -> Condition:
        """The same condition with its tensors on `device`."""
        return Condition(None if self.label is None else self.label.to(device), self.caption)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Batch:
    """Training images float [B,C,H,W] in [-1,1], their labels int64 [B], captions, and dataset index int64 [B]."""

    image: Tensor
    label: Tensor | None
    caption: list[str] | None
    index: Tensor

    def __len__(self) -> int:
        return self.image.shape[0]

    @property
    def condition(self) -> Condition:
        """The batch's labels and captions, as a model is conditioned on them."""
        return Condition(self.label, self.caption)

    def split(self, parts: int) -> Iterator[Batch]:
        """At most `parts` consecutive pieces of nearly equal size, none empty."""
        size = -(-len(self) // parts)
        for start in range(0, len(self), size):
            piece = slice(start, start + size)
            yield Batch(
                self.image[piece],
                None if self.label is None else self.label[piece],
                None if self.caption is None else self.caption[piece],
                self.index[piece],
            )
