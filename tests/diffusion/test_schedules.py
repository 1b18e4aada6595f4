"""Noise schedules: closed forms, monotone signal-to-noise ratio, sampling grids."""

import math

import pytest
import torch

from genbench.core import ConfigError
from genbench.diffusion.schedules import Cosine, Linear, NoiseSchedule

SCHEDULES = [Linear(), Linear(steps=500), Cosine(), Cosine(steps=100)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_variance_is_preserved_and_signal_falls(schedule: NoiseSchedule) -> None:
    t = torch.linspace(0, 1, 4001, dtype=torch.float64)
    alpha, sigma = schedule.alpha_sigma(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(t), rtol=0, atol=1e-15)
    assert (alpha[0].item(), sigma[0].item()) == (1.0, 0.0)
    snr = (alpha / sigma)[1:]
    assert (snr.diff() <= 0).all()
    assert (snr[:-2].diff() < 0).all()  # strictly, but for cosine's floor at the very end
    assert 0.0 < alpha[-1] < 0.01


def test_precision_follows_the_time() -> None:
    for dtype in (torch.float32, torch.float64):
        alpha, sigma = Cosine().alpha_sigma(torch.tensor(0.3, dtype=dtype))
        assert alpha.dtype == sigma.dtype == dtype


@pytest.mark.parametrize("steps", [1000, 500])
def test_linear_is_the_running_product_of_its_betas(steps: int) -> None:
    betas = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * (1000 / steps)
    product = (1.0 - betas).cumprod(0)
    t = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    torch.testing.assert_close(Linear(steps).alpha_bar(t), product, rtol=1e-12, atol=0)
    # the training times are float32: their rounding must not show
    torch.testing.assert_close(Linear(steps).alpha_bar(t.float()), product, rtol=1e-6, atol=0)


def test_linear_is_log_linear_between_grid_times() -> None:
    schedule = Linear(1000)
    left, middle, right = schedule.alpha_bar(torch.tensor([0.5, 0.5005, 0.501], dtype=torch.float64)).tolist()
    assert middle == pytest.approx(math.sqrt(left * right), rel=1e-12)


def test_cosine_closed_form() -> None:
    f = [math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 for t in (0.0, 0.25, 0.5, 0.9)]
    alpha_bar = Cosine().alpha_bar(torch.tensor([0.0, 0.25, 0.5, 0.9], dtype=torch.float64))
    torch.testing.assert_close(alpha_bar, torch.tensor(f, dtype=torch.float64) / f[0], rtol=1e-14, atol=0)
    assert Cosine(floor=1e-5).alpha_bar(torch.ones((), dtype=torch.float64)).item() == 1e-5


def test_training_times_are_the_grid_each_equally_likely() -> None:
    schedule = Cosine(steps=10)
    uniform = (torch.arange(1000) + 0.5) / 1000
    times, counts = schedule.times(uniform).unique(return_counts=True)
    torch.testing.assert_close(times, torch.arange(1, 11) / 10)
    assert counts.tolist() == [100] * 10
    edges = schedule.times(torch.tensor([0.0, 1.0 - 2**-24]))
    torch.testing.assert_close(edges, torch.tensor([0.1, 1.0]))


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 50, 333, 999, 1000])
def test_sampling_grid_starts_at_noise_ends_at_image_and_is_a_subset_of_the_training_grid(steps: int) -> None:
    grid = Linear(1000).grid(steps)
    assert grid.shape == (steps + 1,)
    assert (grid[0].item(), grid[-1].item()) == (1.0, 0.0)
    gaps = (-grid.diff() * 1000).round()
    assert gaps.min() >= math.floor(1000 / steps)
    assert gaps.max() <= math.ceil(1000 / steps)
    torch.testing.assert_close((grid * 1000).round() / 1000, grid, rtol=0, atol=0)


@pytest.mark.parametrize("steps", [0, 1001])
def test_steps_outside_the_training_grid_are_refused(steps: int) -> None:
    with pytest.raises(ConfigError, match=r"sampler\.steps is .* expected 1 to scheduler\.steps=1000"):
        Linear(1000).grid(steps)


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"scheduler\.steps is 0"):
        Cosine(steps=0)
    with pytest.raises(ConfigError, match=r"scaled by 1000/10 .* scheduler\.steps=1000"):
        Linear(steps=10)
