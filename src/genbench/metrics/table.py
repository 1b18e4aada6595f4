"""What metrics read: one row of features and logits per image."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class FeatureTable:
    """Features float32 [N,D], logits float32 [N,K] and the labels asked for, int64 [N] or None; on the CPU.

    One table per (images, extractor) serves every metric. Rows are kept, rather than each metric's own sums,
    because the splits of the inception score, kernel distances, neighbours and bootstrap intervals need them.
    `classifies` says whether the logits are those of the labels' classes.
    """

    features: Tensor
    logits: Tensor
    label: Tensor | None
    classifies: bool

    def __len__(self) -> int:
        return self.features.shape[0]
