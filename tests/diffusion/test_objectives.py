"""Objectives: exact round trips, closed forms, the minimiser of the loss, and the least loss on a Gaussian."""

import pytest
import torch
from exact import NORMAL, ONE, SCHEDULES, TWO

from genbench.core import ConfigError
from genbench.diffusion.objectives import EDM, X0, Epsilon, LearnedVariance, Objective, V, Velocity
from genbench.diffusion.schedules import Cosine, Flow, NoiseSchedule

OBJECTIVES: dict[str, Objective] = {
    "epsilon": Epsilon(),
    "x0": X0(),
    "v": V(),
    "velocity": Velocity(),
    "edm": EDM(),
    "learned variance": LearnedVariance(V()),
}
every = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
schedules = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())


@every
@schedules
def test_the_target_denoises_to_the_image(objective: Objective, schedule: NoiseSchedule) -> None:
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(1001, 1, 2, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)[:, None, None, None]
    alpha, sigma = schedule.alpha_sigma(t)
    output = objective.target(x0, eps, alpha, sigma)
    assert output.isfinite().all()
    possible = (alpha > 0.0).expand_as(x0) if isinstance(objective, Epsilon) else torch.ones_like(x0, dtype=torch.bool)
    denoised = objective.to_denoised(output, alpha * x0 + sigma * eps, alpha, sigma)
    torch.testing.assert_close(denoised[possible], x0[possible], rtol=0, atol=1e-11)


def test_closed_forms() -> None:
    x0, eps, alpha, sigma = torch.tensor([0.3, -1.1, 0.6, 0.8], dtype=torch.float64)
    assert Epsilon().target(x0, eps, alpha, sigma) == eps
    assert X0().target(x0, eps, alpha, sigma) == x0
    assert V().target(x0, eps, alpha, sigma).item() == pytest.approx(0.6 * -1.1 - 0.8 * 0.3)
    assert Velocity().target(x0, eps, alpha, sigma).item() == pytest.approx(-1.4)
    # Karras et al. 2022, table 1, in their variables: alpha = 1
    noisy, data, level = x0 + 2.0 * eps, 0.5, 2.0
    skip, out = data**2 / (level**2 + data**2), level * data / (level**2 + data**2) ** 0.5
    one, two = torch.tensor([1.0, level], dtype=torch.float64)
    assert EDM().target(x0, eps, one, two).item() == pytest.approx(((x0 - skip * noisy) / out).item())
    assert [c.item() for c in EDM().skip_gain(one, two)] == pytest.approx([skip, out])
    assert EDM().input_scale(one, two).item() == pytest.approx((level**2 + data**2) ** -0.5)


@schedules
def test_edm_keeps_input_and_target_at_unit_scale(schedule: NoiseSchedule) -> None:
    """For independent image and noise of deviations sigma_data and 1, at every level and on every path."""
    alpha, sigma = schedule.alpha_sigma(torch.linspace(0, 1, 101, dtype=torch.float64))
    zero, one, objective = torch.zeros(()), torch.ones(()), EDM(sigma_data=0.5)
    variance = (0.5 * alpha * objective.input_scale(alpha, sigma)) ** 2 + (
        sigma * objective.input_scale(alpha, sigma)
    ) ** 2
    torch.testing.assert_close(variance, torch.ones_like(alpha))
    of_image, of_noise = objective.target(0.5 * one, zero, alpha, sigma), objective.target(zero, one, alpha, sigma)
    torch.testing.assert_close(of_image**2 + of_noise**2, torch.ones_like(alpha))


@schedules
def test_other_inputs_are_scaled_only_where_noise_explodes(schedule: NoiseSchedule) -> None:
    alpha, sigma = schedule.alpha_sigma(torch.linspace(0, 1, 11, dtype=torch.float64))
    expected = (1 + sigma**2).rsqrt() if schedule.prior_std > 1.0 else torch.ones_like(alpha)
    torch.testing.assert_close(V().input_scale(alpha, sigma), expected, rtol=1e-15, atol=0)


@every
@pytest.mark.parametrize("t", [0.15, 0.5, 0.85])
def test_the_minimiser_of_the_loss_is_the_posterior_mean(objective: Objective, t: float) -> None:
    """Least squares over functions of x_t, here a histogram's, finds E[x0 | x_t] whatever is predicted."""
    schedule, n, bins = Cosine(steps=None), 400_000, 60
    generator = torch.Generator().manual_seed(1)
    which = torch.randint(2, (n,), generator=generator)
    x0 = TWO.means[which] + TWO.stds[which] * torch.randn(n, dtype=torch.float64, generator=generator)
    eps = torch.randn(n, dtype=torch.float64, generator=generator)
    time = t * ONE
    alpha, sigma = schedule.alpha_sigma(time)
    xt = alpha * x0 + sigma * eps
    edges = torch.quantile(xt[:100_000], torch.linspace(0, 1, bins + 1, dtype=torch.float64))
    bin_of = torch.bucketize(xt, edges[1:-1])
    count = torch.bincount(bin_of, minlength=bins)
    best = torch.bincount(bin_of, objective.target(x0, eps, alpha, sigma), minlength=bins) / count
    centre = torch.bincount(bin_of, xt, minlength=bins) / count
    denoised = objective.to_denoised(best, centre, alpha, sigma)
    inner = slice(5, -5)  # the outer bins are too wide for their centres
    expected = TWO.denoiser(schedule)(centre, time)
    torch.testing.assert_close(denoised[inner], expected[inner], rtol=0, atol=0.03)


@every
@pytest.mark.parametrize("schedule", [Cosine(steps=None), Flow(), SCHEDULES["edm"]])
def test_the_least_loss_on_a_gaussian_is_its_conditional_variance(
    objective: Objective, schedule: NoiseSchedule
) -> None:
    """E|F - F*|^2 = Var(x0 | x_t) / gain^2, with Var(x0 | x_t) = s^2 sigma^2 / (alpha^2 s^2 + sigma^2)."""
    n, time = 200_000, 0.6 * ONE
    generator = torch.Generator().manual_seed(0)
    z, eps = torch.randn(2, n, dtype=torch.float64, generator=generator)
    x0 = 0.3 + 0.5 * z
    alpha, sigma = schedule.alpha_sigma(time)
    xt = alpha * x0 + sigma * eps
    skip, gain = objective.skip_gain(alpha, sigma)
    best = (NORMAL.denoiser(schedule)(xt, time) - skip * xt) / gain
    loss = (best - objective.target(x0, eps, alpha, sigma)).square().mean().item()
    variance = 0.25 * sigma**2 / (0.25 * alpha**2 + sigma**2)
    assert loss == pytest.approx((variance / gain**2).item(), rel=0.02)  # 6 standard errors


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"objective\.sigma_data is 0"):
        EDM(sigma_data=0.0)
    with pytest.raises(ConfigError, match=r"objective\.weight is -1"):
        LearnedVariance(Epsilon(), weight=-1.0)
