"""Samplers against the exact denoiser of a Gaussian: moments, order of convergence, agreement."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genbench.core import ConfigError, Noise
from genbench.diffusion.samplers import DDIM, DDPM, Denoiser, DiffusionSampler
from genbench.diffusion.schedules import Cosine, Linear, NoiseSchedule

MEAN, STD = 0.3, 0.5


class Scripted(Noise):
    """Float64 normals from one generator, so that two samplers can be given the same numbers."""

    def __init__(self, batch: int, seed: int = 0) -> None:
        self.batch, self.generator = batch, torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.batch

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.batch, *shape, dtype=torch.float64, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        raise AssertionError("samplers draw normals only")


def exact(schedule: NoiseSchedule) -> Denoiser:
    """E[x0 | x_t] where x0 ~ N(MEAN, STD^2)."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = schedule.alpha_sigma(t)
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        return MEAN + gain * (x - alpha * MEAN)

    return denoise


def flow(schedule: NoiseSchedule, x: Tensor) -> Tensor:
    """Where the probability-flow ODE takes x at t = 1: Gaussian marginals are mapped linearly."""
    alpha, sigma = schedule.alpha_sigma(torch.ones((), dtype=torch.float64))
    return MEAN + STD * (x - alpha * MEAN) / (alpha**2 * STD**2 + sigma**2).sqrt()


def test_ddim_converges_to_the_flow_with_first_order() -> None:
    schedule = Cosine(steps=4096)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64).reshape(9, 1, 1, 1)
    steps = [32, 64, 128, 256, 512]
    errors = []
    for n in steps:
        out = DDIM(steps=n)(exact(schedule), schedule, x, Scripted(9))
        errors.append((out - flow(schedule, x)).abs().max().item())
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert errors[-1] < 4e-3
    assert all(0.9 < slope < 1.1 for slope in slopes), slopes


class Impulses(Scripted):
    """Zeros, but for a one in image k + 2 at the k-th draw."""

    draws = 0

    def normal(self, *shape: int) -> Tensor:
        z = torch.zeros(self.batch, *shape, dtype=torch.float64)
        z[self.draws + 2] = 1.0
        self.draws += 1
        return z


def moments(sampler: DiffusionSampler, schedule: NoiseSchedule) -> tuple[float, float]:
    """Exact mean and deviation of the samples: an affine denoiser makes them affine in every normal drawn."""
    batch = sampler.steps + 2
    start = torch.zeros(batch, 1, 1, 1, dtype=torch.float64)
    start[1] = 1.0
    out = sampler(exact(schedule), schedule, start, Impulses(batch)).flatten()
    return out[0].item(), (out[1:] - out[0]).norm().item()


@pytest.mark.parametrize("schedule", [Linear(), Cosine()])
@pytest.mark.parametrize("build", [lambda n: DDIM(n), lambda n: DDIM(n, eta=1.0), lambda n: DDPM(n)])
def test_moments_of_a_gaussian_converge(schedule: NoiseSchedule, build: Callable[[int], DiffusionSampler]) -> None:
    coarse, middle, fine = (moments(build(n), schedule) for n in (50, 200, 1000))
    assert fine == pytest.approx((MEAN, STD), abs=0.006)
    errors = [abs(std - STD) for _, std in (coarse, middle, fine)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


@pytest.mark.parametrize("steps", [1, 7, 50])
@pytest.mark.parametrize("schedule", [Linear(), Cosine()])
def test_ddim_with_eta_one_is_ancestral_sampling(schedule: NoiseSchedule, steps: int) -> None:
    x = Scripted(5, seed=1).normal(1, 2, 2)
    ddim = DDIM(steps, eta=1.0)(exact(schedule), schedule, x, Scripted(5))
    ddpm = DDPM(steps)(exact(schedule), schedule, x, Scripted(5))
    torch.testing.assert_close(ddim, ddpm, rtol=0, atol=1e-10)


def test_ddpm_posterior_is_that_of_the_paper() -> None:
    """One step from t = 2/T to 1/T against equations 6 and 7 written with betas."""
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alphas, bars = 1.0 - betas, (1.0 - betas).cumprod(0)
    schedule, t = Linear(), 1  # 0-based index of the step from t = 2 to t = 1

    x0, xt = 0.4, -0.7
    mean = bars[t - 1].sqrt() * betas[t] / (1 - bars[t]) * x0
    mean = mean + alphas[t].sqrt() * (1 - bars[t - 1]) / (1 - bars[t]) * xt
    variance = (1 - bars[t - 1]) / (1 - bars[t]) * betas[t]

    bar_t, bar_s = schedule.alpha_bar(torch.tensor([2.0, 1.0], dtype=torch.float64) / 1000)
    calls: list[float] = []

    def denoise(x: Tensor, time: Tensor) -> Tensor:
        calls.append(time.item())
        return torch.full_like(x, x0)

    class TwoSteps(Linear):
        def grid(self, steps: int) -> Tensor:
            return torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64) / 1000

    seen: list[Tensor] = []

    def spy(x: Tensor, time: Tensor) -> Tensor:
        seen.append(x)
        return denoise(x, time)

    z = Scripted(1).normal(1, 1, 1)
    out = DDPM(2)(spy, TwoSteps(), torch.full((1, 1, 1, 1), xt, dtype=torch.float64), Scripted(1))
    assert calls == [0.002, 0.001]
    assert bar_t / bar_s == pytest.approx(alphas[t].item(), rel=1e-12)
    torch.testing.assert_close(seen[1], mean + variance.sqrt() * z, rtol=0, atol=1e-12)
    torch.testing.assert_close(out, torch.full_like(out, x0), rtol=0, atol=1e-9)  # t = 0 is the denoised image


@pytest.mark.parametrize("build", [lambda n: DDIM(n), lambda n: DDIM(n, eta=1.0), lambda n: DDPM(n)])
@pytest.mark.parametrize("steps", [1, 20])
def test_one_evaluation_a_step_and_single_precision_kept(build: Callable[[int], DiffusionSampler], steps: int) -> None:
    schedule, calls = Cosine(), 0

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        assert t.shape == ()
        return x.clamp(-1, 1)

    class Single(Scripted):
        def normal(self, *shape: int) -> Tensor:
            return super().normal(*shape).float()

    out = build(steps)(denoise, schedule, Single(3).normal(1, 2, 2), Single(3))
    assert (calls, out.dtype) == (steps, torch.float32)


def test_deterministic_ddim_draws_nothing() -> None:
    class Mute(Scripted):
        def normal(self, *shape: int) -> Tensor:
            raise AssertionError("eta = 0 draws no noise")

    x = torch.zeros(2, 1, 1, 1, dtype=torch.float64)
    out = DDIM(10, eta=0.0)(exact(Cosine()), Cosine(), x, Mute(2))
    assert out.shape == x.shape


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"sampler\.steps is 0"):
        DDPM(steps=0)
    with pytest.raises(ConfigError, match=r"sampler\.eta is 1\.5; expected 0 .* to 1"):
        DDIM(eta=1.5)
