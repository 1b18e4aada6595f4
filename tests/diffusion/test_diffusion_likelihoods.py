"""Likelihoods against closed forms: the ODE's density of a normal, the bound's way down to the entropy."""

import itertools
import math

import pytest
import torch
from exact import NORMAL, ONE, SCHEDULES, Scripted
from torch import Tensor

from genbench.core import ConfigError, SeededNoise
from genbench.diffusion.denoiser import broadcast
from genbench.diffusion.likelihoods import ProbabilityFlow, VariationalBound
from genbench.diffusion.likelihoods.flow import dequantised, divergence
from genbench.diffusion.samplers.grid import lowest_level
from genbench.diffusion.schedules import EDM, Cosine, Flow, NoiseSchedule

MEAN, STD = 0.3, 0.5
WITHIN = torch.linspace(-0.8, 1.4, 5, dtype=torch.float64).reshape(5, 1, 1, 1)


def log_normal(x: Tensor, mean: float | Tensor, std: float | Tensor) -> Tensor:
    return -0.5 * ((x - mean) / std) ** 2 - torch.as_tensor(std).log() - 0.5 * math.log(2 * math.pi)


def flow_density(schedule: NoiseSchedule, y: Tensor) -> Tensor:
    """The log density of the normal's ODE, which is linear: x(1) of x at the bottom, and the prior there."""
    (a, s), (a1, s1) = schedule.scales(lowest_level(schedule)), schedule.alpha_sigma(ONE)
    here, there = torch.hypot(a * STD, s), torch.hypot(a1 * STD, s1)
    x = a1 * MEAN + there / here * a * (y - MEAN)
    return log_normal(x, 0.0, schedule.prior_std) + (a * there / here).log()


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_ode_has_the_closed_density_of_a_normal(name: str) -> None:
    schedule = SCHEDULES[name]
    errors = []
    for tolerance in (1e-3, 1e-5, 1e-7):
        ode = ProbabilityFlow(None, tolerance, tolerance)
        found = ode.log_density(NORMAL.denoiser(schedule), schedule, WITHIN, None)
        errors.append((found - flow_density(schedule, WITHIN).flatten()).abs().max().item())
    assert errors[0] < 1e-2
    assert errors[1] < 2e-4
    assert errors[2] < 2e-6
    # what the least noise and the prior at t = 1 leave of the data's own density
    assert (found - log_normal(WITHIN, MEAN, STD).flatten()).abs().max() < 0.01


@pytest.mark.parametrize("schedule", [Flow(), EDM(), Cosine()])
def test_a_uniform_density_costs_log2_of_the_levels(schedule: NoiseSchedule) -> None:
    def denoise(x: Tensor, t: Tensor) -> Tensor:
        """E[x0 | x_t] for x0 uniform on all bins, 17/16 to either side: the mean of a normal cut to the interval."""
        alpha, sigma = (broadcast(a, x) for a in schedule.alpha_sigma(t))
        alpha = alpha * 17 / 16
        little, alpha = alpha * x / (3.0 * sigma**2), alpha.clamp(min=1e-4)  # a series where there is next to no signal
        low, high = (-alpha - x) / sigma, (alpha - x) / sigma
        # the side of the normal on which both tails keep their digits
        side = torch.where(low > 0, -1.0, 1.0)
        mass = (torch.special.ndtr(side * high) - torch.special.ndtr(side * low)).abs()
        slope = (torch.exp(-0.5 * low**2) - torch.exp(-0.5 * high**2)) / math.sqrt(2 * math.pi)
        return 17 / 16 * torch.where(alpha > 1e-4, (x + sigma * slope / mass) / alpha, little)

    x0 = (2.0 * torch.arange(1, 16, dtype=torch.float64) / 16 - 1.0).reshape(15, 1, 1, 1)
    bits = ProbabilityFlow(None, 1e-6, 1e-6)(denoise, schedule, x0, 17, Scripted(15))
    torch.testing.assert_close(bits, torch.full_like(bits, math.log2(17)), rtol=0, atol=2e-3)


def test_dequantised_images_fill_their_grey_levels() -> None:
    x0 = (2.0 * torch.arange(17, dtype=torch.float64) / 16 - 1.0).reshape(17, 1, 1, 1).expand(17, 1, 50, 50)
    y = dequantised(x0, 17, Scripted(17))
    torch.testing.assert_close(((y + 1.0) * 8).round(), (x0 + 1.0) * 8)
    assert (y - x0).mean().abs() < 0.001
    assert (y - x0).var().item() == pytest.approx((2 / 16) ** 2 / 12, rel=0.02)


def test_the_mean_over_all_signs_is_the_exact_trace() -> None:
    generator = torch.Generator().manual_seed(0)
    w1, w2 = torch.randn(2, 4, 4, dtype=torch.float64, generator=generator)
    x = torch.randn(3, 1, 2, 2, dtype=torch.float64, generator=generator).requires_grad_()
    value = (torch.tanh(x.flatten(1) @ w1) @ w2).reshape(x.shape)
    exact = divergence(value, x, None)
    jacobian = torch.einsum("ij,bj,ji->b", w1, 1.0 - torch.tanh(x.flatten(1) @ w1) ** 2, w2)
    torch.testing.assert_close(exact, jacobian)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)), dtype=torch.float64)
    probes = signs.reshape(16, 1, 1, 2, 2).expand(16, 3, 1, 2, 2)
    torch.testing.assert_close(divergence(value, x, probes), exact)
    assert (divergence(value, x, probes[:1]) - exact).abs().max() > 0.1


def on_levels(schedule: NoiseSchedule, chance: Tensor):
    """E[x0 | x_t] for independent values on grey levels of given probabilities."""
    grey = 2.0 * torch.arange(len(chance), dtype=torch.float64) / (len(chance) - 1) - 1.0

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = (broadcast(a, x)[..., None] for a in schedule.alpha_sigma(t))
        share = torch.softmax(-0.5 * ((x[..., None] - alpha * grey) / sigma) ** 2 + chance.log(), dim=-1)
        return (share * grey).sum(-1)

    return denoise


def drawn(chance: Tensor, n: int) -> Tensor:
    """Images [n,1,4,4] whose values have exactly these probabilities up to rounding, in random places."""
    level = torch.repeat_interleave(torch.arange(len(chance)), (chance * n * 16).round().long())
    level = level[torch.randperm(len(level), generator=torch.Generator().manual_seed(0))][: n * 16]
    return 2.0 * level.double().reshape(-1, 1, 4, 4) / (len(chance) - 1) - 1.0


@pytest.mark.parametrize(("schedule", "levels"), [(Flow(), 17), (EDM(), 2), (Cosine(steps=None), 17)])
def test_the_bound_falls_to_the_entropy_as_one_over_t(schedule: NoiseSchedule, levels: int) -> None:
    chance = torch.full((levels,), 1.0 / levels, dtype=torch.float64)
    x0, excess = drawn(chance, 17 * 16), []
    for steps in (200, 800):
        bound = VariationalBound(steps, None)
        bits = bound(on_levels(schedule, chance), schedule, x0, levels, Scripted(len(x0)))
        excess.append(bits.mean().item() - math.log2(levels))
        assert excess[-1] > 4 * bits.std().item() / math.sqrt(len(x0))
    assert math.log2(excess[0] / excess[1]) / 2 == pytest.approx(1.0, abs=0.25)


def test_two_steps_are_a_divergence_and_the_decoder() -> None:
    """Two levels, alpha(1) = 0 and an image of 0: one bit, after a step to N(x0/2, 1/4) that expected N(0, 1/4)."""
    x0 = torch.tensor([-1.0, 1.0], dtype=torch.float64).reshape(2, 1, 1, 1)
    for draws in (None, 5):
        bits = VariationalBound(2, draws)(lambda x, t: torch.zeros_like(x), Flow(), x0, 2, Scripted(2))
        torch.testing.assert_close(bits, torch.full_like(bits, 1.0 + 0.5 / math.log(2.0)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("schedule", [Flow(), EDM(), Cosine(100)])
def test_drawn_times_have_the_mean_of_all_times_and_an_honest_error(schedule: NoiseSchedule) -> None:
    chance = torch.linspace(1, 3, 5, dtype=torch.float64)
    chance /= chance.sum()
    x0 = drawn(chance, 1)[:1].expand(1200, 1, 4, 4)
    denoise = on_levels(schedule, chance)
    every = VariationalBound(100, None)(denoise, schedule, x0, 5, Scripted(1200, seed=1))
    few = VariationalBound(100, 4)(denoise, schedule, x0, 5, Scripted(1200, seed=2))
    error = math.sqrt((every.var() + few.var()).item() / 1200)
    assert abs((every.mean() - few.mean()).item()) < 4 * error
    # the error says how far means of a part of the images scatter
    means = few.reshape(60, 20).mean(1)
    assert means.std().item() == pytest.approx(few.std().item() / math.sqrt(20), rel=0.35)


@pytest.mark.parametrize("likelihood", [VariationalBound(draws=3), ProbabilityFlow(1, 1e-4, 1e-4)])
def test_an_image_does_not_depend_on_its_batch(likelihood: VariationalBound | ProbabilityFlow) -> None:
    schedule, chance = Cosine(), torch.ones(5, dtype=torch.float64) / 5
    x0 = drawn(chance, 10).float()[:6]
    whole = likelihood(on_levels(schedule, chance), schedule, x0, 5, SeededNoise(0, range(6)))
    parts = [
        likelihood(on_levels(schedule, chance), schedule, x0[part], 5, SeededNoise(0, range(6)[part]))
        for part in (slice(0, 1), slice(1, 6))
    ]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-5)
    assert whole.unique().numel() == 6


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"likelihood\.draws is 0"):
        VariationalBound(draws=0)
    with pytest.raises(ConfigError, match=r"divisor of scheduler\.steps=1000"):
        VariationalBound(steps=300).fit(Cosine())
    VariationalBound(steps=300).fit(Flow())
    with pytest.raises(ConfigError, match=r"likelihood\.probes is 0"):
        ProbabilityFlow(probes=0)
    for atol in (0.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=rf"likelihood\.rtol=0\.0001, atol={atol}: expected finite"):
            ProbabilityFlow(atol=atol)
