"""Samplers: exact moments of the random ones, identities between them, grids, precision and cost."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from exact import NORMAL, ONE, SCHEDULES, Mute, Scripted, starts
from torch import Tensor

from genbench.core import ConfigError, RunError
from genbench.diffusion.posterior import interpolated, posterior
from genbench.diffusion.samplers import (
    DDIM,
    DDPM,
    RK4,
    Adaptive,
    DPMSolver2M,
    DPMSolver2MSDE,
    DPMSolver3M,
    FixedSteps,
    Heun,
    Midpoint,
)
from genbench.diffusion.samplers.grid import Grid, path
from genbench.diffusion.schedules import EDM, Cosine, Flow, Linear, NoiseSchedule

MEAN, STD = 0.3, 0.5
Build = Callable[[int, Grid], FixedSteps]
RANDOM: dict[str, tuple[Build, int]] = {
    "ddpm": (lambda n, g: DDPM(n, grid=g), 1),
    "ddim eta=1": (lambda n, g: DDIM(n, eta=1.0, grid=g), 1),
    "ddim eta=0.5": (lambda n, g: DDIM(n, eta=0.5, grid=g), 1),
    "dpmpp_2m_sde": (lambda n, g: DPMSolver2MSDE(n, grid=g), 2),
    "heun with churn": (lambda n, g: Heun(n, s_churn=10.0, grid=g), 2),
}


class Impulses(Scripted):
    """Zeros, but for a one in image k + 2 at the k-th draw."""

    draws = 0

    def normal(self, *shape: int) -> Tensor:
        z = torch.zeros(self.batch, *shape, dtype=torch.float64)
        z[self.draws + 2] = 1.0
        self.draws += 1
        return z


def moments(sampler: FixedSteps, schedule: NoiseSchedule) -> tuple[float, float]:
    """Exact mean and deviation of the samples: an affine denoiser makes them affine in every normal drawn."""
    batch = sampler.steps + 2
    start = torch.zeros(batch, 1, 1, 1, dtype=torch.float64)
    start[1] = schedule.prior_std
    out = sampler(NORMAL.denoiser(schedule), schedule, start, Impulses(batch)).flatten()
    return out[0].item(), (out[1:] - out[0]).norm().item()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("grid", ["uniform", "log_snr"])
def test_moments_of_a_gaussian_converge(name: str, kind: str, grid: Grid) -> None:
    build, order = RANDOM[kind]
    coarse, fine = (moments(build(n, grid), SCHEDULES[name]) for n in (50, 400))
    assert fine == pytest.approx((MEAN, STD), abs=0.012 if order == 1 else 0.0025)
    assert abs(coarse[1] - STD) > 1.2 * abs(fine[1] - STD)


@pytest.mark.parametrize("kind", RANDOM)
def test_order_of_the_moments(kind: str) -> None:
    build, order = RANDOM[kind]
    found = [abs(moments(build(n, "log_snr"), EDM())[1] - STD) for n in (50, 100, 200)]
    assert [math.log2(a / b) for a, b in pairwise(found)] == pytest.approx([order] * 2, abs=0.25)


@pytest.mark.parametrize("steps", [1, 7, 50])
@pytest.mark.parametrize("name", SCHEDULES)
def test_ddim_with_eta_one_is_ancestral_sampling(name: str, steps: int) -> None:
    schedule = SCHEDULES[name]
    x = schedule.prior_std * Scripted(5, seed=1).normal(1, 2, 2)
    ddim = DDIM(steps, eta=1.0)(NORMAL.denoiser(schedule), schedule, x, Scripted(5))
    ddpm = DDPM(steps)(NORMAL.denoiser(schedule), schedule, x, Scripted(5))
    torch.testing.assert_close(ddim, ddpm, rtol=0, atol=1e-9)


@pytest.mark.parametrize("schedule", [Flow(), EDM()])
def test_ddim_is_eulers_method_in_flows_time_and_in_edms_sigma(schedule: NoiseSchedule) -> None:
    x, denoise = starts(schedule), NORMAL.denoiser(schedule)
    expected, grid = x, [*path(schedule, 6, "uniform")]
    for now, after in pairwise(grid):
        x0 = denoise(expected, now.t)
        eps = (expected - now.alpha * x0) / now.sigma
        expected = expected + (after.sigma - now.sigma) * (eps - x0 if isinstance(schedule, Flow) else eps)
    torch.testing.assert_close(DDIM(6)(denoise, schedule, x, Mute(9)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", [DPMSolver2M, DPMSolver3M, Heun, DDIM])
def test_one_step_shows_the_first_denoised_image(name: str, kind: type[FixedSteps]) -> None:
    schedule = SCHEDULES[name]
    x, denoise = starts(schedule), NORMAL.denoiser(schedule)
    torch.testing.assert_close(kind(1)(denoise, schedule, x, Mute(9)), denoise(x, ONE), rtol=0, atol=1e-12)


def test_heun_is_algorithm_1_of_edm_on_their_grid() -> None:
    """Karras et al. 2022, algorithm 1 with sigma(t) = t, written out."""
    schedule, n = EDM(), 9
    x, denoise = starts(schedule), NORMAL.denoiser(schedule)
    i = torch.arange(n, dtype=torch.float64)
    sigmas = [*((80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7), torch.zeros(())]

    def denoised(x: Tensor, sigma: Tensor) -> Tensor:
        return denoise(x, schedule.time_of(sigma))

    expected = x
    for now, after in pairwise(sigmas):
        d = (expected - denoised(expected, now)) / now
        euler = expected + (after - now) * d
        if after > 0:
            d = (d + (euler - denoised(euler, after)) / after) / 2
        expected = expected + (after - now) * d
    torch.testing.assert_close(Heun(n)(denoise, schedule, x, Mute(9)), expected, rtol=0, atol=1e-9)


def test_ddpm_posterior_is_that_of_the_paper() -> None:
    """The step from t = 2/T to 1/T against equations 6 and 7 of Ho et al. written with betas."""
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alphas, bars, t = 1.0 - betas, (1.0 - betas).cumprod(0), 1
    alpha, sigma = (a.tolist() for a in Linear().alpha_sigma(torch.tensor([0.002, 0.001], dtype=torch.float64)))
    back = posterior(alpha[0], sigma[0], alpha[1], sigma[1])
    assert back.from_x0 == pytest.approx((bars[t - 1].sqrt() * betas[t] / (1 - bars[t])).item(), rel=1e-9)
    assert back.from_xt == pytest.approx((alphas[t].sqrt() * (1 - bars[t - 1]) / (1 - bars[t])).item(), rel=1e-9)
    assert back.variance == pytest.approx(((1 - bars[t - 1]) / (1 - bars[t]) * betas[t]).item(), rel=1e-9)
    assert back.beta == pytest.approx(betas[t].item(), rel=1e-9)


def test_ancestral_sampling_draws_with_the_learned_variance() -> None:
    """From the first step on: -1 is the posterior's variance, +1 is beta, 0 their geometric mean."""
    schedule, n = Cosine(), 3

    class Learned:
        def __init__(self, fraction: float) -> None:
            self.fraction, self.seen = fraction, []

        def __call__(self, x: Tensor, t: Tensor) -> Tensor:
            raise AssertionError("the variance is asked for too")

        def with_variance(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            self.seen.append(x)
            return torch.zeros_like(x), torch.full_like(x, self.fraction)

    now, after = path(schedule, n, "uniform")[:2]
    back = posterior(now.alpha, now.sigma, after.alpha, after.sigma)
    for fraction, variance in ((-1, back.variance), (1, back.beta), (0, math.sqrt(back.variance * back.beta))):
        learned = Learned(fraction)
        DDPM(n)(learned, schedule, torch.zeros(4, 1, 2, 2, dtype=torch.float64), Scripted(4))
        expected = math.sqrt(variance) * Scripted(4).normal(1, 2, 2)
        torch.testing.assert_close(learned.seen[1], expected, rtol=1e-9, atol=0)
        assert interpolated(torch.tensor(float(fraction)), back.variance, back.beta).exp() == pytest.approx(variance)


BUILD: list[tuple[Callable[[int], FixedSteps], Callable[[int], int]]] = [
    (DDIM, lambda n: n),
    (lambda n: DDIM(n, eta=1.0), lambda n: n),
    (DDPM, lambda n: n),
    (Heun, lambda n: 2 * n - 1),
    (lambda n: Heun(n, s_churn=20.0), lambda n: 2 * n - 1),
    (DPMSolver2M, lambda n: n),
    (DPMSolver2MSDE, lambda n: n),
    (DPMSolver3M, lambda n: n),
    (Midpoint, lambda n: 2 * n),
    (RK4, lambda n: 4 * n - 1),
]


@pytest.mark.parametrize(("build", "evaluations"), BUILD)
@pytest.mark.parametrize("steps", [1, 20])
@pytest.mark.parametrize("schedule", [Cosine(), Flow()])
def test_evaluations_and_single_precision(
    build: Callable[[int], FixedSteps], evaluations: Callable[[int], int], steps: int, schedule: NoiseSchedule
) -> None:
    calls = 0

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        assert (t.shape, t.device.type, t.dtype) == ((), "cpu", torch.float64)
        assert x.dtype == torch.float32
        return x.clamp(-1, 1)

    class Single(Scripted):
        def normal(self, *shape: int) -> Tensor:
            return super().normal(*shape).float()

    out = build(steps)(denoise, schedule, Single(3).normal(1, 2, 2), Single(3))
    assert (calls, out.dtype) == (evaluations(steps), torch.float32)
    assert out.isfinite().all()


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 50, 333, 999, 1000])
def test_the_uniform_grid_is_trailing_where_training_is_discrete(steps: int) -> None:
    times = torch.stack([point.t for point in path(Linear(1000), steps, "uniform")])
    assert times.shape == (steps + 1,)
    assert (times[0].item(), times[-1].item()) == (1.0, 0.0)
    gaps = (-times.diff() * 1000).round()
    assert math.floor(1000 / steps) <= gaps.min() <= gaps.max() <= math.ceil(1000 / steps)
    torch.testing.assert_close((times * 1000).round() / 1000, times, rtol=0, atol=0)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("grid", ["uniform", "karras", "log_snr"])
@pytest.mark.parametrize("steps", [1, 2, 18])
def test_grids_start_at_noise_fall_and_end_at_the_image(name: str, grid: Grid, steps: int) -> None:
    points = path(SCHEDULES[name], steps, grid)
    assert len(points) == steps + 1
    assert points[0].t == 1.0
    assert (points[-1].alpha, points[-1].sigma) == (1.0, 0.0)
    assert all(a.level > b.level for a, b in pairwise(points))


def test_karras_and_log_snr_grids_are_even_where_they_say() -> None:
    levels = torch.stack([p.level for p in path(EDM(), 18, "karras")[:-1]])
    gaps = (levels ** (1 / 7)).diff()
    torch.testing.assert_close(gaps, gaps.mean().expand(17), rtol=1e-9, atol=0)
    for schedule in (EDM(), Flow(), Cosine()):
        levels = torch.stack([p.level for p in path(schedule, 18, "log_snr")[1:-1]])
        gaps = levels.log().diff()
        torch.testing.assert_close(gaps, gaps.mean().expand(16), rtol=1e-6, atol=0)


def test_impossible_settings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"sampler\.steps is 0"):
        DDPM(steps=0)
    with pytest.raises(ConfigError, match=r"sampler\.eta is 1\.5; expected 0 .* to 1"):
        DDIM(eta=1.5)
    with pytest.raises(ConfigError, match=r"sampler\.s_churn=-1"):
        Heun(s_churn=-1.0)
    for rtol, atol in ((0.1, 0.0), (float("nan"), 0.1), (0.1, float("inf"))):
        with pytest.raises(ConfigError, match=rf"sampler\.rtol={rtol}, atol={atol}: expected finite"):
            Adaptive(rtol=rtol, atol=atol)
    for grid in ("uniform", "karras", "log_snr"):
        with pytest.raises(ConfigError, match=r"sampler\.steps is 1001; expected 1 to scheduler\.steps=1000"):
            DDIM(1001, grid=grid).fit(Linear(1000))
    monkeypatch.setattr("genbench.diffusion.samplers.adaptive.TRIES", 20)
    with pytest.raises(RunError, match=r"not solved in 20 steps: raise rtol=1e-07"):
        Adaptive(rtol=1e-7, atol=1e-9)(NORMAL.denoiser(EDM()), EDM(), starts(EDM()), Mute(9))
