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
    """Images that can be taken by index, such as a split of a dataset; `label` int64 [N] or None are all labels."""

    @property
    def label(self) -> Tensor | None: ...

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
