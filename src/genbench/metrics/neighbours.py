"""Distances between feature vectors in blocks, so that no table of all pairs is ever held."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genbench.core import DataError

BLOCK = 2**25
"""Distances held at a time: 128 MiB of float32."""


def distances(rows: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Euclidean distances [B,M] of a few rows [N,D] at a time to all others [M,D], each with the rows' slice."""
    size = max(1, BLOCK // max(1, len(others)))
    for start in range(0, len(rows), size):
        part = slice(start, min(start + size, len(rows)))
        yield part, torch.cdist(rows[part], others)


def kth_distances(features: Tensor, k: int) -> Tensor:
    """The distance [N] of each row of features [N,D] to its k-th nearest other row.

    Raises:
        DataError: fewer than k + 1 rows.
    """
    if len(features) <= k:
        raise DataError(
            f"{len(features)} images have no {k} neighbours each: at least {k + 1} are needed, or set "
            f"protocol.neighbours={len(features) - 1} or less"
        )
    # the nearest row is the row itself
    return torch.cat([block.kthvalue(k + 1).values for _, block in distances(features, features)])


def nearest(rows: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Distance [N] and index [N] of the nearest of the others [M,D] to each row [N,D].

    The distance is taken again from the difference: the blocks' matrix products lose the small ones, those of copies.
    """
    index = torch.cat([block.argmin(1) for _, block in distances(rows, others)])
    parts = zip(torch.split(rows, 4096), torch.split(index, 4096), strict=True)
    return torch.cat([(part - others[at]).norm(dim=1) for part, at in parts]), index
