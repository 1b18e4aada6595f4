"""Samples beside the training images nearest to them: what memorisation looks like."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from genbench.core.files import write_atomically
from genbench.core.grid import image_grid
from genbench.data.images import ImageTable
from genbench.evaluation.sources import ImageSource
from genbench.metrics import FeatureTable

PAIRS, COLUMNS = 40, 8


def write_neighbours(
    path: Path, samples: FeatureTable, source: ImageSource, train: FeatureTable, images: ImageTable
) -> None:
    """A PNG of pairs: on the left a sample of seed 0, on the right its nearest training image in feature space.

    The samples shown are the closest of all, as copies would be, closest first.
    """
    found = [
        torch.cdist(samples.features[start : start + 1000], train.features).min(1)
        for start in range(0, len(samples), 1000)
    ]
    closest = torch.cat([block.values for block in found]).argsort()[:PAIRS]
    chosen = source.choice(len(samples), 0)
    drawn, _ = source.draw(0, [chosen[int(i)] for i in closest])
    real = images.take(torch.cat([block.indices for block in found])[closest]).image
    pairs = torch.stack([drawn.cpu(), real], 1).flatten(0, 1)
    buffer = io.BytesIO()
    image_grid(pairs, columns=2 * COLUMNS).save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())
