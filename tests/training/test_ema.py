import pytest
import torch
from torch import nn

from genbench.core import ConfigError
from genbench.training.ema import EMA


def average(half_life: float, rampup: float) -> tuple[nn.Parameter, EMA]:
    weight = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    return weight, EMA({"w": weight}, half_life, rampup)


def test_half_the_distance_is_left_after_one_half_life() -> None:
    weight, ema = average(half_life=1000, rampup=1.0)
    with torch.no_grad():
        weight.fill_(1.0)
    for seen in range(100_000, 101_000, 50):  # far beyond the ramp: 20 batches of 50 are one half-life
        ema.update(seen, 50)
    torch.testing.assert_close(ema.shadow["w"], torch.full((3,), 0.5, dtype=torch.float64))


def test_result_depends_on_images_not_on_batch_size() -> None:
    results = []
    for batch in (10, 250):
        weight, ema = average(half_life=700, rampup=1.0)
        with torch.no_grad():
            weight.fill_(1.0)
        for seen in range(10_000 + batch, 11_000 + batch, batch):
            ema.update(seen, batch)
        results.append(ema.shadow["w"])
    torch.testing.assert_close(*results)


def test_warm_up_follows_the_share_of_images_seen() -> None:
    _, ema = average(half_life=10_000, rampup=0.05)
    assert ema.decay(1000, 50) == pytest.approx(0.5 ** (50 / 50))
    assert ema.decay(100_000, 50) == pytest.approx(0.5 ** (50 / 5000))
    assert ema.decay(1_000_000, 50) == pytest.approx(0.5 ** (50 / 10_000))


def test_without_half_life_the_average_is_the_weight() -> None:
    weight, ema = average(half_life=0, rampup=0.05)
    with torch.no_grad():
        weight.fill_(2.0)
    ema.update(100, 10)
    assert torch.equal(ema.shadow["w"], weight.detach())


def test_applied_swaps_and_restores_even_after_an_error() -> None:
    weight, ema = average(half_life=1000, rampup=1.0)
    with torch.no_grad():
        weight.fill_(1.0)

    def fail() -> None:
        assert weight.tolist() == [0.0] * 3
        raise RuntimeError

    with pytest.raises(RuntimeError), ema.applied():
        fail()
    assert weight.tolist() == [1.0] * 3
    assert ema.shadow["w"].tolist() == [0.0] * 3


def test_values_without_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="ema_half_life=-1"):
        average(-1, 0.05)
    with pytest.raises(ConfigError, match="ema_rampup=0"):
        average(1, 0.0)
