import math

import pytest
import torch
from torch import Tensor

from genbench.core import ConfigError, DataError
from genbench.metrics import Accuracy, FeatureTable, FrechetDistance, InceptionScore


def table(features: Tensor, logits: Tensor | None = None, label: Tensor | None = None) -> FeatureTable:
    logits = torch.zeros(len(features), 2) if logits is None else logits
    return FeatureTable(features, logits, label, classifies=True)


def of_logits(logits: Tensor, label: Tensor | None = None, classifies: bool = True) -> FeatureTable:
    return FeatureTable(torch.zeros(len(logits), 1), logits, label, classifies)


def with_moments(n: int, mean: Tensor, covariance: Tensor, seed: int) -> Tensor:
    """n points whose sample mean and sample covariance are exactly these."""
    x = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x - x.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(x.T)), x.T, upper=False).T
    return white @ torch.linalg.cholesky(covariance).T + mean


def rotation(d: int) -> Tensor:
    return torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(5), dtype=torch.float64)).Q


def test_frechet_distance_of_gaussians_with_commuting_covariances_is_its_closed_form() -> None:
    d = 6
    q = rotation(d)
    a = torch.linspace(0.5, 4.0, d, dtype=torch.float64)
    b = torch.linspace(3.0, 0.2, d, dtype=torch.float64)
    shift = torch.linspace(-1.0, 2.0, d, dtype=torch.float64)
    x = with_moments(40, torch.zeros(d, dtype=torch.float64), q @ a.diag() @ q.T, 1)
    y = with_moments(31, shift, q @ b.diag() @ q.T, 2)
    expected = float(shift.square().sum() + (a.sqrt() - b.sqrt()).square().sum())
    assert FrechetDistance()(table(x), table(y))["fd"] == pytest.approx(expected, rel=1e-9)
    assert FrechetDistance()(table(y), table(x))["fd"] == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_two_dimensions_with_covariances_that_do_not_commute() -> None:
    one = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    two = torch.tensor([[3.0, -0.5], [-0.5, 1.0]], dtype=torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    # the trace of the root of a 2x2 matrix M is sqrt(tr M + 2 sqrt(det M))
    product = one @ two
    root = math.sqrt(float(product.trace()) + 2.0 * math.sqrt(float(torch.linalg.det(product))))
    expected = float(one.trace() + two.trace()) - 2.0 * root
    found = FrechetDistance()(table(with_moments(25, zero, one, 3)), table(with_moments(25, zero, two, 4)))
    assert found["fd"] == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_in_another_order_is_zero_and_of_a_shift_its_square() -> None:
    x = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    assert FrechetDistance()(table(x), table(x.flip(0)))["fd"] == pytest.approx(0.0, abs=1e-5)
    assert FrechetDistance()(table(x + 3.0), table(x))["fd"] == pytest.approx(5 * 9.0, rel=1e-5)


def test_frechet_distance_is_summed_in_float64() -> None:
    # a mean of 1e4 with a deviation of one leaves float32 sums no correct digit of the variance's fourth
    x = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0)) + 1.0e4
    exact = x.double()
    shifted = table(exact - 1.0e4), table(exact * 0.5 - 0.5e4)
    centred = FrechetDistance()(*shifted)["fd"]
    assert centred is not None
    found = FrechetDistance()(table(x), table(x * 0.5))["fd"]
    mean_gap = float((exact.mean(0) * 0.5).square().sum())
    mean_gap_centred = float(((exact.mean(0) - 1.0e4) * 0.5).square().sum())
    assert found == pytest.approx(centred - mean_gap_centred + mean_gap, rel=1e-12)


def test_frechet_distance_of_one_image_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2 samples"):
        FrechetDistance()(table(torch.zeros(1, 3)), table(torch.zeros(5, 3)))


@pytest.mark.parametrize("classes", [2, 10])
def test_inception_score_is_the_number_of_classes_for_sure_and_balanced_predictions(classes: int) -> None:
    logits = torch.eye(classes).repeat(30, 1) * 100.0
    assert InceptionScore(1)(of_logits(logits), of_logits(logits))["is"] == pytest.approx(classes, rel=1e-9)


def test_inception_score_is_one_for_predictions_that_are_all_alike() -> None:
    for logits in (torch.zeros(40, 10), torch.eye(10)[3].repeat(40, 1) * 100.0):
        assert InceptionScore(4)(of_logits(logits), of_logits(logits))["is"] == pytest.approx(1.0, rel=1e-9)


def test_inception_score_of_unbalanced_classes_is_the_exponential_of_their_entropy() -> None:
    logits = torch.eye(2)[torch.tensor([0, 0, 0, 1]).repeat(10)] * 100.0
    expected = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert InceptionScore(1)(of_logits(logits), of_logits(logits))["is"] == pytest.approx(expected, rel=1e-9)


def test_inception_score_needs_an_image_per_split() -> None:
    with pytest.raises(DataError, match=r"protocol\.is_splits=3"):
        InceptionScore(4)(of_logits(torch.zeros(3, 2)), of_logits(torch.zeros(3, 2)))
    with pytest.raises(ConfigError, match="is_splits is 0"):
        InceptionScore(0)


def test_accuracy_counts_the_classes_asked_for() -> None:
    logits = torch.eye(4)[torch.tensor([0, 1, 2, 3, 0])]
    label = torch.tensor([0, 1, 2, 0, 1])
    assert Accuracy()(of_logits(logits, label), of_logits(logits))["accuracy"] == 0.6


def test_accuracy_means_nothing_without_labels_or_without_a_classifier_of_them() -> None:
    logits, label = torch.eye(3), torch.arange(3)
    assert Accuracy()(of_logits(logits), of_logits(logits))["accuracy"] is None
    assert Accuracy()(of_logits(logits, label, classifies=False), of_logits(logits))["accuracy"] is None
