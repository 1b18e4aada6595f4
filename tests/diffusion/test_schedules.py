"""Noise schedules: closed forms, monotone noise, inverses, and the geometry of their paths."""

import math

import pytest
import torch
from exact import ONE, SCHEDULES

from genbench.core import ConfigError
from genbench.diffusion.schedules import EDM, Betas, Cosine, Flow, Linear, NoiseSchedule, Sigmoid

every = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())


def at(schedule: NoiseSchedule, *t: float) -> tuple[list[float], list[float]]:
    alpha, sigma = schedule.alpha_sigma(torch.tensor(t, dtype=torch.float64))
    return alpha.tolist(), sigma.tolist()


@every
def test_signal_falls_and_noise_rises(schedule: NoiseSchedule) -> None:
    t = torch.linspace(0, 1, 4001, dtype=torch.float64)
    alpha, sigma = schedule.alpha_sigma(t)
    assert (alpha.diff() <= 0).all()
    assert (sigma.diff() > -1e-15).all()
    log_snr = schedule.log_snr(t)
    assert (log_snr[1:-8].diff() < 0).all()  # strictly, but for a floor at the very end
    torch.testing.assert_close(log_snr[1:-1], 2 * (alpha / sigma).log()[1:-1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["linear", "cosine", "shifted cosine", "sigmoid"])
def test_variance_is_preserved(name: str) -> None:
    t = torch.linspace(0, 1, 4001, dtype=torch.float64)
    alpha, sigma = SCHEDULES[name].alpha_sigma(t)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(t), rtol=0, atol=1e-15)
    assert (alpha[0].item(), sigma[0].item()) == (1.0, 0.0)


@every
def test_pure_noise_is_the_prior(schedule: NoiseSchedule) -> None:
    """Images of unit deviation end within 1 % of the prior's deviation, and the signal is below 1 % of it."""
    alpha, sigma = schedule.alpha_sigma(ONE)
    assert math.hypot(alpha, sigma) == pytest.approx(schedule.prior_std, rel=1e-2)
    assert alpha / sigma < 0.0126


@every
def test_time_of_a_level_is_the_inverse(schedule: NoiseSchedule) -> None:
    t = torch.linspace(0.001, 0.99, 500, dtype=torch.float64)
    torch.testing.assert_close(schedule.time_of(schedule.level(t)), t, rtol=1e-7, atol=1e-9)
    ends = schedule.time_of(torch.tensor([0.0, math.inf], dtype=torch.float64))
    torch.testing.assert_close(ends, torch.tensor([0.0, 1.0], dtype=torch.float64), rtol=0, atol=1e-12)


@every
def test_positions_are_inverse_and_tangents_are_derivatives(schedule: NoiseSchedule) -> None:
    level = torch.tensor([0.01, 0.3, 1.0, 7.0, 50.0], dtype=torch.float64)
    position = schedule.position(level)
    torch.testing.assert_close(schedule.level_at(position), level, rtol=1e-12, atol=0)
    step = 1e-6
    above, below = (schedule.scales(schedule.level_at(position + d)) for d in (step, -step))
    for tangent, high, low in zip(schedule.tangent(*schedule.scales(level)), above, below, strict=True):
        expected = torch.as_tensor(tangent, dtype=torch.float64).expand_as(level)
        torch.testing.assert_close((high - low) / (2 * step), expected, rtol=1e-7, atol=1e-7)


@every
def test_precision_follows_the_time(schedule: NoiseSchedule) -> None:
    for dtype in (torch.float32, torch.float64):
        alpha, sigma = schedule.alpha_sigma(torch.tensor(0.3, dtype=dtype))
        assert alpha.dtype == sigma.dtype == dtype


@pytest.mark.parametrize("steps", [1000, 500])
def test_linear_is_the_running_product_of_its_betas(steps: int) -> None:
    betas = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * (1000 / steps)
    product = (1.0 - betas).cumprod(0)
    t = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    torch.testing.assert_close(Linear(steps).alpha_sigma(t)[0] ** 2, product, rtol=1e-12, atol=0)
    # the training times are float32: their rounding must not show
    torch.testing.assert_close(Linear(steps).alpha_sigma(t.float().double())[0] ** 2, product, rtol=1e-5, atol=0)


def test_linear_is_log_linear_between_grid_times() -> None:
    left, middle, right = at(Linear(1000), 0.5, 0.5005, 0.501)[0]
    assert middle == pytest.approx(math.sqrt(left * right), rel=1e-12)


def test_cosine_closed_form() -> None:
    times = (0.0, 0.25, 0.5, 0.9)
    f = [math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2 for t in times]
    assert at(Cosine(floor=0.0), *times)[0] == pytest.approx([math.sqrt(x / f[0]) for x in f], rel=1e-13)
    assert at(Cosine(floor=1e-5), 1.0)[0] == pytest.approx([math.sqrt(1e-5)], rel=1e-12)


def test_sigmoid_closed_form() -> None:
    low, high = 1 / (1 + math.exp(3)), 1 / (1 + math.exp(-3))
    for t in (0.1, 0.5, 0.8):
        value = (high - 1 / (1 + math.exp(3 - 6 * t))) / (high - low)
        assert at(Sigmoid(floor=0.0), t)[0][0] ** 2 == pytest.approx(value, rel=1e-12)


def test_edm_and_flow_closed_forms() -> None:
    assert at(EDM(), 0.0, 0.5, 1.0)[1] == pytest.approx([0.002, math.sqrt(0.002 * 80), 80.0], rel=1e-12)
    assert at(EDM(), 0.0, 0.5, 1.0)[0] == [1.0, 1.0, 1.0]
    alpha, sigma = at(Flow(), 0.0, 0.3, 1.0)
    assert alpha == pytest.approx([1.0, 0.7, 0.0], abs=1e-15)
    assert sigma == pytest.approx([0.0, 0.3, 1.0], abs=1e-15)


@pytest.mark.parametrize("kind", [Cosine, Linear, Sigmoid, EDM, Flow])
def test_shift_moves_log_snr_by_twice_its_logarithm(kind: type[NoiseSchedule]) -> None:
    t = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    difference = kind(shift=4.0).log_snr(t) - kind().log_snr(t)
    torch.testing.assert_close(difference, torch.full_like(t, -2 * math.log(4)), rtol=1e-12, atol=0)


def test_shift_of_flow_is_the_published_shift_of_its_times() -> None:
    shift, times = 3.0, (0.1, 0.5, 0.9)
    expected = [shift * t / (1 + (shift - 1) * t) for t in times]
    assert at(Flow(shift=shift), *times)[1] == pytest.approx(expected, rel=1e-12)


def test_snap_is_the_training_grid_each_time_equally_likely() -> None:
    schedule = Cosine(steps=10)
    uniform = (torch.arange(1000) + 0.5) / 1000
    times, counts = schedule.snap(uniform).unique(return_counts=True)
    torch.testing.assert_close(times, torch.arange(1, 11) / 10)
    assert counts.tolist() == [100] * 10
    edges = schedule.snap(torch.tensor([0.0, 1.0 - 2**-24, 1.0]))
    torch.testing.assert_close(edges, torch.tensor([0.1, 1.0, 1.0]))
    assert torch.equal(Flow().snap(uniform), uniform)


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"scheduler\.steps is 0"):
        Cosine(steps=0)
    with pytest.raises(ConfigError, match=r"scaled by 1000/10 .* scheduler\.steps=1000"):
        Linear(steps=10)
    with pytest.raises(ConfigError, match=r"scheduler\.shift is 0.0; expected a positive factor"):
        Flow(shift=0.0)
    with pytest.raises(ConfigError, match="expected 0 < sigma_min < sigma_max"):
        EDM(sigma_min=1.0, sigma_max=0.5)
    with pytest.raises(ConfigError, match="expected start below end"):
        Sigmoid(start=3.0, end=-3.0)


def test_betas_that_leave_no_signal_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"scheduler\.betas are not all between 0 and 1"):
        Betas([0.1, 1.0])
    with pytest.raises(ConfigError, match=r"scaled by 1000/0 leave \(0,1\)"):
        Linear(steps=0)


@pytest.mark.parametrize("schedule", [Cosine(4000), Sigmoid(1000, start=0.0, end=3.0, tau=0.3), Sigmoid(4000)])
def test_every_step_of_a_fine_schedule_adds_noise(schedule: NoiseSchedule) -> None:
    # iDDPM trains cosine at T = 4000: a step without noise has the posterior variance 0, and its logarithm is lost
    assert schedule.steps is not None
    grid = torch.arange(1, schedule.steps + 1, dtype=torch.float64) / schedule.steps
    assert bool((schedule.level(grid).diff() > 0.0).all())
    torch.testing.assert_close(schedule.time_of(schedule.level(grid)), grid, rtol=0.0, atol=1e-6)
