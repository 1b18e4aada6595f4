"""Which images make which batch: a pure function of the seed and of how many images have been seen."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from genbench.core import ConfigError, DataError
from genbench.core.noise import image_seed

Shuffle = Callable[[torch.Generator], Tensor]
"""An order int64 [n] of all n images, drawn from the generator."""


class BatchOrder:
    """Batches of dataset indices int64, at positions `start` to `stop` of an endless shuffled sequence.

    Epoch e of n images is a permutation drawn from (seed, e), and position p holds its entry p % n of epoch
    p // n; so any `start` continues the same sequence and a resumed run needs no state. `batch_size` counts
    the images of all ranks; each rank gets its contiguous, equal share of every batch. The last batch is
    what remains before `stop`. `shuffle` draws the permutations; without it all are equally likely.

    Raises:
        DataError: n is 0.
        ConfigError: a batch that the ranks cannot share equally.
    """

    def __init__(
        self, n: int, seed: int, batch_size: int, start: int, stop: int, rank: int = 0, world_size: int = 1,
        shuffle: Shuffle | None = None,
    ) -> None:  # fmt: skip
        if n < 1:
            raise DataError("the training split has no images; expected at least 1")
        if batch_size % world_size or (stop - start) % world_size:
            raise ConfigError(
                f"batches of {batch_size} images up to {stop} cannot be shared equally by {world_size} processes; "
                f"make budget.batch_size and budget.images multiples of {world_size}"
            )
        self.n, self.seed, self.batch_size = n, seed, batch_size
        self.start, self.stop = start, stop
        self.rank, self.world_size, self.shuffle = rank, world_size, shuffle

    def __len__(self) -> int:
        return max(0, -(-(self.stop - self.start) // self.batch_size))

    def __iter__(self) -> Iterator[Tensor]:
        epoch, permutation = -1, torch.empty(0, dtype=torch.int64)
        for first in range(self.start, self.stop, self.batch_size):
            share = min(self.batch_size, self.stop - first) // self.world_size
            position = first + share * self.rank
            end = position + share
            pieces = []
            while position < end:
                if position // self.n != epoch:
                    epoch = position // self.n
                    permutation = self.permutation(epoch)
                pieces.append(permutation[position - epoch * self.n : end - epoch * self.n])
                position += len(pieces[-1])
            yield torch.cat(pieces)

    def permutation(self, epoch: int) -> Tensor:
        """The order of all n images in one epoch."""
        generator = torch.Generator().manual_seed(image_seed(self.seed, epoch))
        return torch.randperm(self.n, generator=generator) if self.shuffle is None else self.shuffle(generator)


def mixed(group: Tensor, groups: int, at_once: int, generator: torch.Generator) -> Tensor:
    """Every row once, int64 [n]: groups in a random order, `at_once` of them at a time, and the rows of these mixed.

    `group`, int64 [n], says for each row which of the `groups` it lies in. Where they are mixed all at once, every
    order is equally likely.
    """
    parts = -(-groups // at_once)
    if parts == 1:
        return torch.randperm(len(group), generator=generator)
    rows = torch.split(group.argsort(stable=True), torch.bincount(group, minlength=groups).tolist())
    order = []
    for some in torch.randperm(groups, generator=generator).tensor_split(parts):
        together = torch.cat([rows[each] for each in some.tolist()])
        order.append(together[torch.randperm(len(together), generator=generator)])
    return torch.cat(order)
