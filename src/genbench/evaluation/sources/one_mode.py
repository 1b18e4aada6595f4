"""The control that looks perfect image by image, and shows one thing only."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genbench.evaluation.sources.base import ImageSource
from genbench.evaluation.sources.noise import cyclic_captions
from genbench.evaluation.sources.table import Table


class OneModeSource(ImageSource):
    """Real images of one class, another for each seed, again and again; without labels one image.

    They are labelled like the samples of a model that was asked for all classes, or all `prompts`, in turn.
    """

    def __init__(self, table: Table, name: str, prompts: Sequence[str] | None = None) -> None:
        super().__init__(name, None)
        self.table, self.label, self.prompts = table, table.label, prompts

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        wanted = torch.as_tensor(indices, dtype=torch.int64)
        if self.label is None:
            return self.table.take([seed % len(self.table)] * len(wanted)).image, None
        classes = torch.unique(self.label)
        rows = (self.label == classes[seed % len(classes)]).nonzero()[:, 0]
        image = self.table.take(rows[wanted % len(rows)].tolist()).image
        return image, wanted % (int(classes.max()) + 1)

    def captions(self, indices: Sequence[int]) -> list[str] | None:
        return cyclic_captions(self.prompts, indices)
