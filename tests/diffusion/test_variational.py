"""The bound that teaches a variance: closed forms of its terms, and an exact model of zero excess."""

import math

import pytest
import torch

from genbench.diffusion.posterior import decoder_bits, kl_bits
from genbench.diffusion.schedules import Cosine, Linear
from genbench.diffusion.variational import bound_bits


def test_divergence_of_gaussians_by_quadrature() -> None:
    x = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    distance, q, p = 0.7, 0.3, 1.9

    def log_normal(mean: float, variance: float) -> torch.Tensor:
        return -0.5 * (x - mean) ** 2 / variance - 0.5 * math.log(2 * math.pi * variance)

    nats = torch.trapezoid(log_normal(0, q).exp() * (log_normal(0, q) - log_normal(distance, p)), x).item()
    one = torch.ones((), dtype=torch.float64)
    assert kl_bits(distance * one, q * one, (p * one).log()).item() == pytest.approx(nats / math.log(2), rel=1e-9)


@pytest.mark.parametrize("levels", [17, 256])
def test_the_discrete_decoder_is_a_distribution_over_the_levels(levels: int) -> None:
    grey = 2.0 * torch.arange(levels, dtype=torch.float64) / (levels - 1) - 1.0
    for mean, std in ((0.1, 0.5), (0.99, 0.02), (-3.0, 1.0)):
        bits = decoder_bits(grey, torch.full_like(grey, mean), torch.full_like(grey, 2 * math.log(std)), levels)
        assert (2.0**-bits).sum().item() == pytest.approx(1.0, abs=1e-9)


def test_a_uniform_decoder_costs_log2_of_the_levels() -> None:
    grey = 2.0 * torch.arange(1, 16, dtype=torch.float64) / 16 - 1.0
    wide = torch.full_like(grey, 2 * math.log(1e3))
    bits = decoder_bits(grey, torch.zeros_like(grey), wide, 17)
    mass = 0.125 / (1e3 * math.sqrt(2 * math.pi))
    torch.testing.assert_close(bits, torch.full_like(bits, -math.log2(mass)), rtol=1e-6, atol=0)


@pytest.mark.parametrize("schedule", [Linear(100), Cosine(100)])
def test_an_exact_image_and_the_posteriors_variance_leave_no_divergence(schedule) -> None:
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 50, 1, 2, 2, dtype=torch.float64, generator=generator)
    t = torch.arange(2, 52, dtype=torch.float64) / 100
    alpha, sigma = (a[:, None, None, None] for a in schedule.alpha_sigma(t))
    xt, exact = alpha * x0 + sigma * eps, torch.full_like(x0, -1.0)
    bits = bound_bits(schedule, 100, t, x0, xt, x0, exact, 256)
    torch.testing.assert_close(bits, torch.zeros_like(bits), rtol=0, atol=1e-9)
    # a larger variance, or another image, costs something
    assert (bound_bits(schedule, 100, t, x0, xt, x0, -exact, 256) > 0).all()
    assert (bound_bits(schedule, 100, t, x0, xt, x0 + 0.1, exact, 256) > 0).all()


def test_the_last_term_is_the_decoders() -> None:
    schedule = Cosine(100)
    x0 = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    t = torch.tensor([0.01], dtype=torch.float64)
    bits = bound_bits(schedule, 100, t, x0, x0, x0, torch.ones_like(x0), 17)
    alpha, sigma = schedule.alpha_sigma(t)
    # at s = 0 the mean is the denoised image and beta is sigma^2
    expected = 100 * decoder_bits(x0, x0, torch.full_like(x0, 2 * math.log(sigma.item())), 17).mean()
    assert bits.item() == pytest.approx(expected.item(), rel=1e-9)
    assert alpha < 1.0
