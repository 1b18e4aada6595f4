"""The discretised logistic: a distribution over levels, in closed form, with gradients that stay finite."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from genbench.families.likelihoods import discretised_logistic


def all_levels(mean: float, log_scale: float, levels: int, dtype: torch.dtype = torch.float64) -> Tensor:
    level = torch.arange(levels)
    return discretised_logistic(
        level, torch.full((levels,), mean, dtype=dtype), torch.full((levels,), log_scale, dtype=dtype), levels
    )


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("mean", [-40.0, -1.0, -0.3, 0.0, 0.97, 3.0])
@pytest.mark.parametrize("log_scale", [-8.0, -2.0, 0.0, 6.0])
def test_probabilities_of_all_levels_sum_to_one(mean: float, log_scale: float, levels: int) -> None:
    assert all_levels(mean, log_scale, levels).exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def test_each_probability_is_a_difference_of_the_cdf() -> None:
    mean, log_scale, levels = 0.2, -1.0, 5
    edges = [-math.inf, -0.75, -0.25, 0.25, 0.75, math.inf]  # half-way between the levels -1, -0.5, 0, 0.5, 1
    cdf = [1.0 / (1.0 + math.exp(-(e - mean) / math.exp(log_scale))) for e in edges]
    expected = [b - a for a, b in itertools.pairwise(cdf)]
    assert all_levels(mean, log_scale, levels).exp().tolist() == pytest.approx(expected, rel=1e-12)


def test_narrow_is_certain_and_wide_splits_between_the_tails() -> None:
    narrow = all_levels(0.5, -12.0, 17).exp()
    assert narrow.argmax().item() == 12  # 2 * 12 / 16 - 1 = 0.5
    assert narrow[12].item() == pytest.approx(1.0, abs=1e-12)
    wide = all_levels(0.0, 8.0, 17)
    assert wide[[0, 16]].exp().tolist() == pytest.approx([0.5, 0.5], abs=1e-4)
    # between the tails the density is flat: bin width / (4 scale)
    assert wide[1:16].tolist() == pytest.approx([math.log(0.125 / 4) - 8.0] * 15, abs=1e-4)


def test_mirror_symmetry() -> None:
    torch.testing.assert_close(all_levels(0.3, -1.5, 17), all_levels(-0.3, -1.5, 17).flip(0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("mean", [-1e6, -50.0, -1.0, 0.1, 1.0, 50.0, 1e6])
@pytest.mark.parametrize("log_scale", [-25.0, -7.0, 0.0, 25.0])
def test_values_and_gradients_stay_finite_in_single_precision(mean: float, log_scale: float) -> None:
    means = torch.full((17,), mean, requires_grad=True)
    scales = torch.full((17,), log_scale, requires_grad=True)
    log_p = discretised_logistic(torch.arange(17), means, scales, 17)
    assert log_p.isfinite().all()
    assert (log_p <= 0.0).all()
    log_p.sum().backward()
    assert means.grad is not None
    assert scales.grad is not None
    assert means.grad.isfinite().all()
    assert scales.grad.isfinite().all()


def test_gradients_equal_finite_differences() -> None:
    level = torch.tensor([0, 3, 16, 8])
    mean = torch.tensor([-0.9, 0.4, 0.2, -2.0], dtype=torch.float64, requires_grad=True)
    log_scale = torch.tensor([-1.0, -2.0, 0.5, -3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m, s: discretised_logistic(level, m, s, 17), (mean, log_scale))


def test_far_tails_pull_the_mean_towards_the_level() -> None:
    mean = torch.tensor([1e4, -1e4], requires_grad=True)
    discretised_logistic(torch.tensor([8, 8]), mean, torch.zeros(2), 17).sum().backward()
    assert mean.grad is not None
    assert mean.grad.tolist() == pytest.approx([-1.0, 1.0])
