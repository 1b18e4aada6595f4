from itertools import pairwise

import pytest
import torch

from genbench.core import ConfigError, DataError
from genbench.data.order import BatchOrder


def positions(**change) -> list[int]:
    settings = {"n": 7, "seed": 3, "batch_size": 4, "start": 0, "stop": 30, **change}
    return [i for batch in BatchOrder(**settings) for i in batch.tolist()]


@pytest.mark.parametrize("batch_size", [1, 4, 7, 25])
@pytest.mark.parametrize("start", [1, 4, 7, 13, 29])
def test_starting_anywhere_gives_the_tail_of_the_whole(batch_size, start) -> None:
    assert positions(start=start, batch_size=batch_size) == positions()[start:]


def test_every_epoch_is_another_permutation() -> None:
    sequence = positions(stop=7 * 40)
    epochs = [tuple(sequence[e * 7 : e * 7 + 7]) for e in range(40)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert all(a != b for a, b in pairwise(epochs))


def test_seeds_shuffle_differently_and_repeat() -> None:
    first = {seed: tuple(positions(n=20, stop=20, seed=seed)) for seed in range(50)}
    assert len(set(first.values())) == 50
    assert first[7] == tuple(positions(n=20, stop=20, seed=7))


def test_the_first_place_is_uniform_over_the_images() -> None:
    counts = torch.bincount(
        torch.tensor([int(BatchOrder(5, 0, 1, 0, 1).permutation(e)[0]) for e in range(5000)]), minlength=5
    )
    chi_squared = float(((counts - 1000.0) ** 2 / 1000.0).sum())
    assert chi_squared < 18.47  # 4 degrees of freedom, p = 0.001


@pytest.mark.parametrize(
    ("stop", "batch_size", "sizes"), [(30, 4, [4] * 7 + [2]), (8, 4, [4, 4]), (3, 4, [3]), (0, 4, [])]
)
def test_exactly_the_budget_is_seen(stop, batch_size, sizes) -> None:
    order = BatchOrder(7, 0, batch_size, 0, stop)
    assert [len(batch) for batch in order] == sizes
    assert len(order) == len(sizes)


@pytest.mark.parametrize("world_size", [2, 3])
def test_rank_shares_concatenate_to_the_global_batch(world_size) -> None:
    whole = list(BatchOrder(7, 1, 6, 6, 42))
    ranks = [list(BatchOrder(7, 1, 6, 6, 42, rank, world_size)) for rank in range(world_size)]
    for batch, shares in zip(whole, zip(*ranks, strict=True), strict=True):
        assert {len(share) for share in shares} == {6 // world_size}
        assert torch.equal(torch.cat(shares), batch)


@pytest.mark.parametrize(("batch_size", "stop"), [(5, 30), (4, 31)])
def test_batches_that_ranks_cannot_share_are_refused(batch_size, stop) -> None:
    with pytest.raises(ConfigError, match="multiples of 2"):
        BatchOrder(7, 0, batch_size, 0, stop, rank=0, world_size=2)


def test_one_permutation_is_drawn_per_epoch(monkeypatch) -> None:
    drawn = []
    draw = BatchOrder.permutation
    monkeypatch.setattr(BatchOrder, "permutation", lambda self, epoch: drawn.append(epoch) or draw(self, epoch))
    positions(n=10, batch_size=3, stop=35)
    assert drawn == [0, 1, 2, 3]


def test_no_images_is_an_error() -> None:
    with pytest.raises(DataError, match="no images"):
        BatchOrder(0, 0, 4, 0, 8)
