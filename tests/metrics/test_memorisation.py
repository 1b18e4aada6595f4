import numpy as np
import pytest
import torch
from clouds import evidence, held, normal, value
from scipy.stats import mannwhitneyu, norm

from genbench.core import DataError
from genbench.metrics import Memorisation
from genbench.metrics.memorisation import _closeness


def test_a_planted_copy_of_the_training_set_is_found() -> None:
    train, test = normal(600, 8, 0), normal(300, 8, 1)
    for noise in (0.0, 0.01):
        scores = Memorisation()(evidence(train[:400] + noise * normal(400, 8, 2), test, train, test))
        assert scores["ct"].value is not None
        assert scores["ct"].value < -10.0
        assert scores["auth"].value is not None
        assert scores["auth"].value < 0.01


def test_a_third_of_copies_among_new_samples_is_found() -> None:
    train, test = normal(600, 8, 0), normal(300, 8, 1)
    mixed = torch.cat([train[:200], normal(400, 8, 2)])
    assert value(Memorisation(), evidence(mixed, test, train, test), "ct") < -3.0


def test_new_samples_are_as_close_as_test_images_and_far_ones_farther() -> None:
    train, test = normal(600, 8, 0), normal(400, 8, 1)
    new = [value(Memorisation(), evidence(normal(300, 8, 10 + s), test, train, test), "ct") for s in range(20)]
    assert abs(float(np.mean(new))) < 1.5
    far = Memorisation()(evidence(normal(300, 8, 2) * 3.0, test, train, test))
    assert far["ct"].value is not None
    assert far["ct"].value > 5.0
    assert far["auth"].value is not None
    assert far["auth"].value > 0.95


def test_authenticity_on_a_line() -> None:
    # nearest neighbours in the training set are 1, 1 and 3 away; 0.4 is closer to 0, -2 is farther, 5 (of 4) is closer
    train = torch.cat([torch.tensor([[0.0], [1.0], [4.0]]), 100.0 + 50.0 * torch.arange(40.0)[:, None]])
    samples = torch.cat([torch.tensor([[0.4], [-2.0], [5.0]]), 100.0 + 50.0 * torch.arange(58.0)[:, None] % 2000.0])
    scores = Memorisation()(evidence(samples, train, train, train))
    assert scores["auth"].value == pytest.approx(1 / 61)


def test_the_z_score_is_that_of_the_ranks() -> None:
    drawn, new = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0, 7.0])
    deviation = (3 * 4 * 8 / 12) ** 0.5
    assert _closeness(drawn, new)[0] == pytest.approx((0 - 5.5) / deviation)
    assert _closeness(drawn, new)[1] == 0.0
    assert _closeness(drawn + 10.0, new)[0] == pytest.approx((12 - 5.5) / deviation)
    many, others = np.round(np.random.RandomState(0).rand(2, 90), 1)
    scale = (90 * 90 * 181 / 12) ** 0.5
    expected = (mannwhitneyu(many, others).statistic - 90 * 90 / 2 + 0.5) / scale
    assert _closeness(many, others)[0] == pytest.approx(expected, rel=1e-12)
    assert _closeness(new, new)[0] == pytest.approx(0.5 / (16 * 9 / 12) ** 0.5)


def test_the_interval_holds_the_expected_score() -> None:
    train, test = normal(300, 3, 1000), normal(200, 3, 1001)
    draws = 100
    rates = held(Memorisation(), lambda seed: evidence(normal(150, 3, seed) * 1.1, test, train, test), draws)
    least = 0.95 + norm.ppf(0.001) * (0.95 * 0.05 / draws) ** 0.5
    assert rates["ct"] > least
    assert rates["auth"] > least


def test_without_splits_there_is_none_and_too_few_are_refused() -> None:
    scores = Memorisation()(evidence(normal(80, 3, 0), normal(80, 3, 1)))
    assert [scores["ct"].value, scores["auth"].value] == [None, None]
    with pytest.raises(DataError, match=r"60 samples .*at least 61"):
        Memorisation()(evidence(normal(60, 3, 0), normal(80, 3, 1), normal(80, 3, 2), normal(80, 3, 1)))
