"""Power-function averages: their length, their inner products, and others put together from them."""

import numpy as np
import pytest
from scipy.integrate import quad

from genbench.core import ConfigError
from genbench.training.power_ema import (
    LENGTHS,
    LONGEST,
    Profile,
    combination,
    decay,
    gamma_of,
    inner_products,
    sigma_rel,
)


def density(profile: Profile, s: float) -> float:
    gamma, t = profile
    return (gamma + 1) / t * (s / t) ** gamma if s <= t else 0.0


@pytest.mark.parametrize(("length", "gamma"), [(0.05, 16.97), (0.1, 6.94)])
def test_exponents_are_those_of_the_paper(length: float, gamma: float) -> None:
    assert gamma_of(length) == pytest.approx(gamma, abs=0.005)


@pytest.mark.parametrize("length", [0.01, 0.05, 0.1, 0.2, LONGEST])
def test_the_profile_has_mass_one_and_the_deviation_it_is_named_after(length: float) -> None:
    profile = Profile(gamma_of(length), 1.0)
    mass, mean, square = (quad(lambda s, k=k: s**k * density(profile, s), 0, 1)[0] for k in range(3))
    assert mass == pytest.approx(1.0, abs=1e-8)
    assert (square - mean**2) ** 0.5 == pytest.approx(length, rel=1e-6)
    assert sigma_rel(profile.gamma) == pytest.approx(length, rel=1e-12)


def test_inner_products_are_the_integrals() -> None:
    profiles = [Profile(16.97, 3.0), Profile(6.94, 3.0), Profile(0.0, 5.0), Profile(40.0, 2.0)]
    found = inner_products(profiles, profiles[:3])
    for i, a in enumerate(profiles):
        for j, b in enumerate(profiles[:3]):
            expected = quad(lambda s, a=a, b=b: density(a, s) * density(b, s), 0, min(a.images, b.images))[0]
            assert found[i, j] == pytest.approx(expected, rel=1e-8)


def test_large_exponents_and_image_counts_do_not_overflow() -> None:
    assert np.isfinite(inner_products([Profile(gamma_of(0.001), 2e8)], [Profile(gamma_of(0.001), 1e3)])).all()


@pytest.mark.parametrize("batch", [1, 8])
def test_updates_weigh_each_step_by_the_profiles_mass_over_it(batch: int) -> None:
    """Exactly, whatever the batch: the start of the average has no weight at all."""
    gamma, t = gamma_of(0.1), 64
    weights = np.array([1.0])
    for seen in range(batch, t + 1, batch):
        kept = decay(gamma, seen, batch)
        weights = np.append(weights * kept, 1.0 - kept)
    edges = np.arange(0, t + 1, batch) / t
    np.testing.assert_allclose(weights, np.append(0.0, np.diff(edges ** (gamma + 1))), atol=1e-14)


def snapshots(count: int) -> list[Profile]:
    return [Profile(gamma_of(length), 1e6 * (i + 1) / count) for i in range(count) for length in LENGTHS]


def test_a_stored_average_is_put_together_from_itself_alone() -> None:
    stored = snapshots(50)
    for which in (-1, -2):
        factors, distance = combination(stored, stored[which])
        np.testing.assert_allclose(factors, np.eye(len(stored))[which], atol=1e-9)
        assert distance < 1e-6


@pytest.mark.parametrize("length", [0.03, 0.075, 0.15, 0.2])
def test_combinations_are_nearest_and_say_how_near(length: float) -> None:
    stored, wanted = snapshots(16), Profile(gamma_of(length), 1e6)
    factors, distance = combination(stored, wanted)
    middles = (np.arange(200_000) + 0.5) * 5.0
    curve = sum(
        f * np.where(middles <= t, (g + 1) / t * (middles / t) ** g, 0.0)
        for f, (g, t) in zip(factors, stored, strict=True)
    )
    target = np.array((wanted.gamma + 1) / 1e6 * (middles / 1e6) ** wanted.gamma)
    assert distance == pytest.approx(float(np.sqrt(((curve - target) ** 2).sum() / (target**2).sum())), rel=1e-2)
    assert distance < 0.04
    rng = np.random.default_rng(0)
    products, inner = inner_products(stored, stored), inner_products(stored, [wanted])[:, 0]
    for _ in range(20):
        other = factors + 1e-3 * rng.normal(size=len(factors))
        assert other @ products @ other - 2 * other @ inner > factors @ products @ factors - 2 * factors @ inner


@pytest.mark.parametrize(("length", "tolerance"), [(0.05, 1e-9), (0.04, 0.02), (0.075, 0.006), (0.15, 0.02)])
def test_a_length_put_together_is_the_length_tracked(length: float, tolerance: float) -> None:
    """A random walk of weights, averaged directly and from sixteen snapshots; errors in units of the walk's spread."""
    rng, t, batch = np.random.default_rng(0), 16_000, 10
    walk = rng.normal(size=(t // batch, 64)).cumsum(0)
    walk /= walk[-1].std()

    def track(gamma: float) -> list[np.ndarray]:
        average, history = np.zeros(64), []
        for step, weights in enumerate(walk):
            kept = decay(gamma, (step + 1) * batch, batch)
            average = kept * average + (1.0 - kept) * weights
            history.append(average)
        return history

    tracked, every = [track(gamma_of(tracked)) for tracked in LENGTHS], t // batch // 16
    ends = range(every - 1, t // batch, every)
    stored = [Profile(gamma_of(tracked), (end + 1.0) * batch) for end in ends for tracked in LENGTHS]
    kept = [tracked[which][end] for end in ends for which in range(2)]
    factors, _ = combination(stored, Profile(gamma_of(length), float(t)))
    error = sum(f * k for f, k in zip(factors, kept, strict=True)) - track(gamma_of(length))[-1]
    assert np.sqrt((error**2).mean()) < tolerance


@pytest.mark.parametrize("length", [0.0, -0.1, 0.3, float("nan")])
def test_lengths_no_average_has_are_refused(length: float) -> None:
    with pytest.raises(ConfigError, match=r"at most 0\.2887"):
        gamma_of(length)
