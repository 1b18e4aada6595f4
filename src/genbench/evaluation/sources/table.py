"""Images that exist already: a split of a dataset, or samples read from files."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from genbench.evaluation.sources.base import ImageSource


class Taken(Protocol):
    """What a table gives: uint8 images [N,C,H,W] and their labels int64 [N] or None."""

    @property
    def image(self) -> Tensor: ...

    @property
    def label(self) -> Tensor | None: ...


class Table(Protocol):
    """Images that can be taken by index, such as a split of a dataset.

    `label` int64 [N] and `caption` [N] are all labels and captions, None where there are none.
    """

    @property
    def label(self) -> Tensor | None: ...

    @property
    def caption(self) -> list[str] | None: ...

    def __len__(self) -> int: ...

    def take(self, indices: Sequence[int]) -> Taken: ...


class TableSource(ImageSource):
    """Images that a table holds."""

    def __init__(self, table: Table, name: str) -> None:
        super().__init__(name, len(table))
        self.table = table

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        taken = self.table.take(indices)
        return taken.image, taken.label

    def captions(self, indices: Sequence[int]) -> list[str] | None:
        return captions_of(self.table, indices)


def captions_of(table: Table, indices: Sequence[int]) -> list[str] | None:
    """The captions of some of a table's images, None where it has none; no image is read."""
    return None if table.caption is None else [table.caption[index] for index in indices]
