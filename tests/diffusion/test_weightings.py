"""Weightings: closed forms in the error they are published for, whatever is predicted, and finite at both ends."""

import pytest
import torch
from torch import Tensor

from genbench.core import ConfigError
from genbench.diffusion import objectives, weightings
from genbench.diffusion.objectives import Objective
from genbench.diffusion.schedules import EDM, Cosine, Flow
from genbench.diffusion.weightings import Weighting

SNR = torch.tensor([1e-4, 0.3, 1.0, 4.0, 1e3], dtype=torch.float64)
ALPHA, SIGMA = (SNR / (1 + SNR)).sqrt(), (1 / (1 + SNR)).sqrt()
WEIGHTINGS: list[Weighting] = [
    weightings.Uniform(),
    weightings.MinSNR(),
    weightings.SoftMinSNR(),
    weightings.P2(),
    weightings.Sigmoid(),
    weightings.EDM(),
    weightings.Velocity(),
]


def of(weighting: Weighting, objective: Objective) -> Tensor:
    return weighting(SNR, objective.skip_gain(ALPHA, SIGMA)[1])


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=0)


def test_weights_of_the_error_they_are_published_for() -> None:
    x0, eps, v = objectives.X0(), objectives.Epsilon(), objectives.V()
    close(of(weightings.Uniform(), v), torch.ones_like(SNR))
    close(of(weightings.MinSNR(5.0), x0), SNR.clamp(max=5.0))
    close(of(weightings.MinSNR(5.0), eps), SNR.clamp(max=5.0) / SNR)  # Hang et al. 2023, section 3.4
    close(of(weightings.MinSNR(5.0), v), SNR.clamp(max=5.0) / (SNR + 1.0))
    close(of(weightings.SoftMinSNR(4.0), x0), 1.0 / (1.0 / SNR + 0.25))
    close(of(weightings.P2(1.0, 0.5), eps), (1.0 + SNR) ** -0.5)
    close(of(weightings.Sigmoid(2.0), eps), 1.0 / (1.0 + (SNR.log() - 2.0).exp()))
    close(of(weightings.EDM(0.5), x0), (1.0 / SNR + 0.25) / (0.25 / SNR))  # with sigma^2 = 1/SNR


def test_edms_weight_is_one_over_its_own_output() -> None:
    close(of(weightings.EDM(0.7), objectives.EDM(0.7)), torch.ones_like(SNR))


@pytest.mark.parametrize("weighting", WEIGHTINGS[1:], ids=lambda w: type(w).__name__)
def test_a_weighting_means_the_same_for_every_prediction(weighting: Weighting) -> None:
    """An error of the image costs the same, whichever output made it."""
    costs = [
        of(weighting, o) / o.skip_gain(ALPHA, SIGMA)[1] ** 2
        for o in (objectives.Epsilon(), objectives.X0(), objectives.V(), objectives.Velocity(), objectives.EDM())
    ]
    for cost in costs[1:]:
        close(cost, costs[0])


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=lambda w: type(w).__name__)
def test_weights_are_finite_and_positive_at_both_ends(weighting: Weighting) -> None:
    alpha, sigma = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    snr = (alpha / sigma).square().clamp(1e-20, 1e20)
    for objective in (objectives.V(), objectives.Velocity(), objectives.EDM()):
        weight = weighting(snr, objective.skip_gain(alpha, sigma)[1])
        assert weight.isfinite().all()
        assert (weight >= 0.0).all()


def test_impossible_settings_are_refused() -> None:
    for build in (lambda: weightings.MinSNR(0.0), lambda: weightings.SoftMinSNR(-1.0), lambda: weightings.P2(gamma=0)):
        with pytest.raises(ConfigError, match=r"weighting\.gamma is .*; expected a positive number"):
            build()


def test_the_velocitys_weight_makes_the_images_error_its_own() -> None:
    """On every schedule eps - x0 is off by (alpha + sigma) / sigma times what the image is off by."""
    torch.manual_seed(0)
    x0, found, eps = torch.randn(3, 5, dtype=torch.float64)
    for schedule in (Flow(), Cosine(), EDM()):
        alpha, sigma = schedule.alpha_sigma(torch.tensor([0.2, 0.4, 0.6, 0.8, 0.95], dtype=torch.float64))
        xt = alpha * x0 + sigma * eps
        velocity = ((xt - alpha * found) / sigma - found) - (eps - x0)
        weight = weightings.Velocity(least=1e-6)((alpha / sigma).square(), torch.ones_like(alpha))
        torch.testing.assert_close(weight * (found - x0).square(), velocity.square())
    bounded = weightings.Velocity(0.05)(torch.tensor([1e20, 99.0**2]), torch.ones(2))
    assert bounded.tolist() == [400.0, 400.0]
    with pytest.raises(ConfigError, match=r"weighting\.least is 0"):
        weightings.Velocity(0.0)
