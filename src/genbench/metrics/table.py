"""What metrics read: one row of features and logits per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genbench.metrics.moments import Moments, require_finite
from genbench.metrics.neighbours import kth_distances


@dataclass(frozen=True)
class FeatureTable:
    """Features float32 [N,D], logits float32 [N,K] and the labels asked for, int64 [N] or None; on the CPU.

    One table per (images, extractor) serves every metric. Rows are kept, rather than each metric's own sums,
    because the splits of the inception score, kernel distances, neighbours and bootstrap intervals need them.
    K is 0 for extractors without classes; `classifies` says whether the logits are those of the labels' classes.
    `image` are the uint8 images [N,C,H,W] themselves, where they were kept; `caption` is what each was asked, or is
    said, to show.

    Raises:
        DataError: NaN or infinite features or logits.
    """

    features: Tensor
    logits: Tensor
    label: Tensor | None
    classifies: bool
    image: Tensor | None = None
    caption: list[str] | None = None

    def __post_init__(self) -> None:
        require_finite(self.features, "features")
        require_finite(self.logits, "logits")

    def __len__(self) -> int:
        return self.features.shape[0]

    @cached_property
    def moments(self) -> Moments:
        """The Gaussian fit of the features, made once."""
        return Moments.of(self.features)

    def radii(self, k: int) -> Tensor:
        """Distances [N] of the rows' features to their k-th nearest other row, made once.

        Raises:
            DataError: k rows or fewer.
        """
        if k not in self._radii:
            self._radii[k] = kth_distances(self.features, k)
        return self._radii[k]

    @cached_property
    def _radii(self) -> dict[int, Tensor]:
        return {}

    def take(self, rows: Tensor | Sequence[int]) -> FeatureTable:
        """The rows of these indices, in their order; an index may occur more than once."""
        rows = torch.as_tensor(rows, dtype=torch.int64)
        return FeatureTable(
            self.features[rows],
            self.logits[rows],
            None if self.label is None else self.label[rows],
            self.classifies,
            None if self.image is None else self.image[rows],
            None if self.caption is None else [self.caption[row] for row in rows.tolist()],
        )
