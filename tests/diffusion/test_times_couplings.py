"""Times have their densities, stratified ones with less variance; couplings keep both marginals and cost less."""

import math

import pytest
import torch
from scipy import stats

from genbench.core import ConfigError, StreamNoise
from genbench.diffusion.couplings import OptimalTransport
from genbench.diffusion.schedules import EDM, Cosine, Flow
from genbench.diffusion.times import LogitNormal, LogNormal, TimeDensity, Uniform


def drawn(times: TimeDensity, n: int = 20_000, schedule=None) -> torch.Tensor:
    torch.manual_seed(0)
    return times(StreamNoise(n), schedule or Flow())


@pytest.mark.parametrize("stratified", [False, True])
def test_densities_by_kolmogorov_and_smirnov(stratified: bool) -> None:
    t = drawn(Uniform(stratified))
    assert stats.kstest(t, "uniform").pvalue > 0.01
    level = EDM().level(drawn(LogNormal(-1.2, 1.2, stratified), schedule=EDM()))
    assert stats.kstest(level.log(), "norm", args=(-1.2, 1.2)).pvalue > 0.01
    logit = drawn(LogitNormal(0.5, 0.8, stratified)).double().logit()
    assert stats.kstest(logit, "norm", args=(0.5, 0.8)).pvalue > 0.01


def test_stratified_times_are_one_in_every_stratum_and_uniform_each() -> None:
    times, first = Uniform(stratified=True), []
    for seed in range(800):
        torch.manual_seed(seed)
        t = times(StreamNoise(8), Flow())
        assert sorted((t * 8).floor().tolist()) == list(range(8))
        first.append(t[3].item())
    assert stats.kstest(first, "uniform").pvalue > 0.01


def test_stratification_lowers_the_variance_of_a_mean_also_in_split_batches() -> None:
    """The mean of 2 pi t over a batch of 32, and over the same batch in two pieces, as accumulation makes them."""

    def deviation(times: TimeDensity, pieces: int) -> float:
        torch.manual_seed(0)
        batches = [
            torch.cat([times(StreamNoise(32 // pieces), Flow()) for _ in range(pieces)]).mean() for _ in range(500)
        ]
        assert torch.stack(batches).mean().item() == pytest.approx(0.5, abs=0.01)
        return torch.stack(batches).std().item()

    plain = deviation(Uniform(), 1)
    assert plain == pytest.approx(math.sqrt(1 / 12 / 32), rel=0.1)
    assert deviation(Uniform(stratified=True), 1) < plain / 4
    assert deviation(Uniform(stratified=True), 2) < plain / 3


def test_discrete_schedules_are_trained_on_their_grid() -> None:
    for times in (Uniform(), LogNormal(), LogitNormal()):
        t = drawn(times, schedule=Cosine(steps=10)) * 10
        torch.testing.assert_close(t, t.round(), rtol=0, atol=1e-5)
        assert (t.min().round(), t.max().round()) == (1, 10)


@pytest.mark.parametrize("times", [LogNormal(), LogitNormal(), Uniform()])
def test_extreme_numbers_give_times_within_zero_and_one(times: TimeDensity) -> None:
    t = times.quantile(torch.tensor([0.0, 1.0 - 2**-24]), Flow())
    assert t.isfinite().all()
    assert 0.0 <= t.min() <= t.max() <= 1.0


def test_impossible_densities_are_refused() -> None:
    for kind in (LogNormal, LogitNormal):
        with pytest.raises(ConfigError, match=r"times\.std is 0"):
            kind(std=0.0)


def test_transport_reorders_the_noise_and_lowers_the_cost() -> None:
    image, eps = torch.randn(2, 64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    paired = OptimalTransport()(image, eps, None)
    assert {tuple(x.flatten().tolist()) for x in paired} == {tuple(x.flatten().tolist()) for x in eps}

    def cost(noise: torch.Tensor) -> float:
        return (image - noise).square().sum().item()

    assert cost(paired) < 0.9 * cost(eps)


def test_transport_on_the_line_sorts() -> None:
    image, eps = torch.randn(2, 50, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    paired = OptimalTransport()(image, eps, None)
    assert torch.equal(paired.flatten()[image.flatten().argsort()], eps.flatten().sort().values)


def test_transport_pairs_within_classes() -> None:
    """Otherwise a class of bright images would be taught to start from bright noise."""
    label = torch.arange(60) % 3
    image, eps = label[:, None, None, None].float() * 5.0, torch.randn(60, 1, 1, 1)
    paired = OptimalTransport()(image, eps, label)
    for value in range(3):
        assert torch.equal(paired[label == value].flatten().sort().values, eps[label == value].flatten().sort().values)
