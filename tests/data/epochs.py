"""What holds of the order of any table, however it is read."""

import torch

from genbench.data.images import ImageTable
from genbench.data.loader import TrainLoader


def check_epochs(table: ImageTable, world: int, workers: int) -> None:
    """Every image comes once an epoch, in another order in each, and the same over any ranks and workers."""
    n, batch = len(table), 12
    images = 6 * n  # whole epochs, and batches that reach from one into the next
    ranks = [
        [images.index for images in TrainLoader(table, batch, images, 5, rank=rank, world_size=world, workers=workers)]
        for rank in range(world)
    ]
    sequence = torch.cat([torch.cat(shares) for shares in zip(*ranks, strict=True)])
    plain = torch.cat([images.index for images in TrainLoader(table, batch, images, 5)])
    assert torch.equal(sequence, plain)
    for epoch in sequence.split(n):
        assert sorted(epoch.tolist()) == list(range(n))
    assert not torch.equal(sequence[:n], sequence[n : 2 * n])
