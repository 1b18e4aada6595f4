import math

import pytest
import torch
from clouds import error, evidence, held, normal, table, value
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from genbench.core import DataError
from genbench.metrics import Evidence, FrechetDistance, FrechetDistanceInfinity, Moments
from genbench.metrics.frechet import frechet, influence


def with_moments(n: int, mean: Tensor, covariance: Tensor, seed: int) -> Tensor:
    """n points whose sample mean and sample covariance are exactly these."""
    x = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x - x.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(x.T)), x.T, upper=False).T
    return white @ torch.linalg.cholesky(covariance).T + mean


def rotation(d: int) -> Tensor:
    return torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(5), dtype=torch.float64)).Q


def fd(samples: Tensor, reference: Tensor) -> float:
    return value(FrechetDistance(), evidence(samples, reference), "fd")


def fidelity(samples: Tensor, reference: Tensor) -> float:
    statistics = [fid_features_to_statistics(x.double()) for x in (samples, reference)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"])


def test_gaussians_with_commuting_covariances_have_the_closed_form() -> None:
    d = 6
    q = rotation(d)
    a = torch.linspace(0.5, 4.0, d, dtype=torch.float64)
    b = torch.linspace(3.0, 0.2, d, dtype=torch.float64)
    shift = torch.linspace(-1.0, 2.0, d, dtype=torch.float64)
    x = with_moments(40, torch.zeros(d, dtype=torch.float64), q @ a.diag() @ q.T, 1)
    y = with_moments(31, shift, q @ b.diag() @ q.T, 2)
    expected = float(shift.square().sum() + (a.sqrt() - b.sqrt()).square().sum())
    assert fd(x, y) == pytest.approx(expected, rel=1e-9)
    assert fd(y, x) == pytest.approx(expected, rel=1e-9)


def test_two_dimensions_with_covariances_that_do_not_commute() -> None:
    one = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    two = torch.tensor([[3.0, -0.5], [-0.5, 1.0]], dtype=torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    # the trace of the root of a 2x2 matrix M is sqrt(tr M + 2 sqrt(det M))
    product = one @ two
    root = math.sqrt(float(product.trace()) + 2.0 * math.sqrt(float(torch.linalg.det(product))))
    expected = float(one.trace() + two.trace()) - 2.0 * root
    assert fd(with_moments(25, zero, one, 3), with_moments(25, zero, two, 4)) == pytest.approx(expected, rel=1e-9)


def test_a_set_in_another_order_is_at_zero_and_a_shift_at_its_square() -> None:
    x = normal(50, 5, 0)
    assert fd(x, x.flip(0)) == pytest.approx(0.0, abs=1e-5)
    assert fd(x + 3.0, x) == pytest.approx(5 * 9.0, rel=1e-5)


def test_sums_are_in_float64() -> None:
    # a mean of 1e4 with a deviation of one leaves float32 sums no correct digit of the variance's fourth
    x = normal(5000, 3, 0) + 1.0e4
    exact = x.double()
    centred = fd(exact - 1.0e4, exact * 0.5 - 0.5e4)
    mean_gap = float((exact.mean(0) * 0.5).square().sum())
    mean_gap_centred = float(((exact.mean(0) - 1.0e4) * 0.5).square().sum())
    assert fd(x, x * 0.5) == pytest.approx(centred - mean_gap_centred + mean_gap, rel=1e-12)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 16), (20, 30, 64), (20, 500, 64), (500, 20, 64)])
def test_torch_fidelity_finds_the_same_also_with_fewer_images_than_dimensions(n: int, m: int, d: int) -> None:
    x, y = normal(n, d, 1) * 0.8 + 0.3, normal(m, d, 2)
    assert fd(x, y) == pytest.approx(fidelity(x, y), rel=1e-5)
    assert frechet(Moments.of(x), Moments.of(y)) == pytest.approx(fidelity(x, y), rel=1e-5)


def test_the_influence_is_the_derivative_to_a_samples_weight() -> None:
    x, y = normal(30, 4, 1).double() * 0.7 + 0.4, Moments.of(normal(60, 4, 2).double())

    def weighted(weights: Tensor) -> float:
        weights = weights / weights.sum()
        mean = weights @ x
        return frechet(Moments(mean, (x - mean).T @ ((x - mean) * weights[:, None]), None), y)

    mean, even, step = x.mean(0), torch.ones(30, dtype=torch.float64), 1e-4
    fitted = Moments(mean, (x - mean).T @ (x - mean) / 30, None)
    found = influence(x, fitted, y)
    found = found - found.mean()
    for row in range(5):
        more = even.clone()
        more[row] += step
        # one of 30 equal weights grows by step / 30
        assert (weighted(more) - weighted(even)) * 30.0 / step == pytest.approx(float(found[row]), rel=2e-3, abs=1e-3)


@pytest.mark.parametrize("n", [100, 400])
def test_the_error_is_what_a_bootstrap_converges_to(n: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, reference = normal(n, 3, 1) * 0.7 + 0.5, normal(400, 3, 2)
    moments = Moments.of(reference)
    draws = [frechet(Moments.of(x[torch.randint(n, (n,), generator=generator)]), moments) for _ in range(300)]
    # the deviation of 300 draws is itself known to 4 %
    bootstrap = float(torch.tensor(draws).std())
    assert error(FrechetDistance(), evidence(x, reference), "fd") == pytest.approx(bootstrap, rel=0.2)


@pytest.mark.parametrize(("shift", "n", "d"), [(0.2, 300, 6), (1.0, 300, 6), (0.5, 40, 64)])
def test_the_interval_holds_the_expected_distance_at_its_nominal_rate(shift: float, n: int, d: int) -> None:
    reference = table(normal(500, d, 10_000))
    rates = held(FrechetDistance(), lambda seed: evidence(normal(n, d, seed) * 0.8 + shift, reference), 300)
    # three binomial deviations of 300 draws at 95 % are 3.8 %
    assert rates["fd"] == pytest.approx(0.95, abs=0.045)


def test_one_image_and_other_dimensions_are_refused() -> None:
    with pytest.raises(DataError, match="at least 2 images"):
        fd(torch.zeros(1, 3), torch.zeros(5, 3))
    with pytest.raises(DataError, match="features of 4 and 3 dimensions"):
        fd(normal(9, 4, 0), normal(9, 3, 0))


def at_infinity(samples: Tensor, moments: Moments) -> tuple[float, float]:
    score = FrechetDistanceInfinity()(Evidence(table(samples), None, moments))["fd_infinity"]
    assert score.value is not None
    assert score.error is not None
    return score.value, score.error


def test_the_extrapolation_recovers_the_distance_of_the_gaussians_themselves() -> None:
    d, draws = 16, 30
    standard = Moments(torch.zeros(d, dtype=torch.float64), torch.eye(d, dtype=torch.float64), None)
    for scale, shift in ((1.0, 0.0), (0.8, 0.2)):
        sets = [normal(800, d, seed) * scale + shift for seed in range(draws)]
        exact = d * (shift**2 + (1.0 - scale) ** 2)
        found = torch.tensor([at_infinity(x, standard)[0] for x in sets])
        bias = sum(frechet(Moments.of(x), standard) for x in sets) / draws - exact
        assert bias > 0.05
        assert abs(float(found.mean()) - exact) < 3.0 * float(found.std()) / draws**0.5 + 0.1 * bias


def test_the_extrapolations_error_is_its_deviation_over_new_samples() -> None:
    d = 8
    standard = Moments(torch.zeros(d, dtype=torch.float64), torch.eye(d, dtype=torch.float64), None)
    found = [at_infinity(normal(300, d, seed) * 0.8 + 0.5, standard) for seed in range(80)]
    values, errors = (torch.tensor(column) for column in zip(*found, strict=True))
    assert float(errors.mean()) == pytest.approx(float(values.std()), rel=0.25)


def test_the_extrapolation_names_the_least_number_of_samples() -> None:
    with pytest.raises(DataError, match="at least 40 are needed"):
        at_infinity(normal(39, 20, 0), Moments.of(normal(50, 20, 1)))


def test_fewer_images_than_dimensions_lose_nothing_to_rounding() -> None:
    # tr (S1 S2)^(1/2) is the nuclear norm of the product of the centred features, which needs no root of a noisy zero
    generator = torch.Generator().manual_seed(0)
    scales = torch.logspace(0, -3, 40)[:, None]
    mixing = torch.randn(40, 512, generator=generator) * scales
    a, b = (torch.relu(torch.randn(60, 40, generator=generator) @ mixing * s + 0.3) for s in (1.0, 1.1))
    ac, bc = a.double() - a.double().mean(0), b.double() - b.double().mean(0)
    shift = (a.double().mean(0) - b.double().mean(0)).square().sum()
    nuclear = torch.linalg.svdvals(ac @ bc.T).sum()
    exact = shift + (ac.square().sum() + bc.square().sum() - 2.0 * nuclear) / 59
    assert frechet(Moments.of(a), Moments.of(b)) == pytest.approx(float(exact), rel=1e-10)
