import pytest
import torch
import torch.nn.functional as F
from clouds import evidence, held, normal, table, value
from torch import Tensor
from torch_fidelity.metric_kid import kid_features_to_metric

from genbench.core import DataError
from genbench.metrics import Cmmd, KernelDistance


def unbiased(x: Tensor, y: Tensor) -> float:
    """The squared discrepancy of the cubic kernel over all pairs of two, the diagonal left out."""
    x, y = x.double(), y.double()
    xx, yy, xy = ((a @ b.T / x.shape[1] + 1.0) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return float(within - 2.0 * xy.mean())


def test_one_subset_of_all_rows_is_the_unbiased_estimator() -> None:
    x, y = normal(80, 5, 0) * 0.7 + 0.3, normal(80, 5, 1)
    found = value(KernelDistance(1, 80), evidence(x, y), "kid")
    assert found == pytest.approx(unbiased(x, y), rel=1e-5)


def test_torch_fidelity_finds_the_same() -> None:
    x, y = normal(300, 16, 0) * 0.7 + 0.3, normal(250, 16, 1)
    expected = kid_features_to_metric(x, y, kid_subsets=20, kid_subset_size=100, verbose=False)
    found = value(KernelDistance(20, 100), evidence(x, y), "kid")
    assert found == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-5)


def test_equal_distributions_are_around_zero_on_both_sides() -> None:
    found = torch.tensor(
        [value(KernelDistance(1, 60), evidence(normal(60, 8, s), normal(60, 8, 1000 + s)), "kid") for s in range(200)]
    )
    assert abs(float(found.mean())) < 3.0 * float(found.std()) / 200**0.5
    assert 0.3 < float((found < 0.0).double().mean()) < 0.8


@pytest.mark.parametrize(("shift", "subsets", "size"), [(0.0, 10, 60), (0.5, 10, 60), (0.5, 2, 200)])
def test_the_interval_holds_the_expected_distance_at_its_nominal_rate(shift: float, subsets: int, size: int) -> None:
    reference = table(normal(400, 6, 10_000))
    rates = held(KernelDistance(subsets, size), lambda s: evidence(normal(300, 6, s) + shift, reference), 120)
    assert rates["kid"] == pytest.approx(0.95, abs=0.06)


def test_it_says_how_many_images_a_subset_takes() -> None:
    with pytest.raises(DataError, match=r"9 samples .*at least 10 .*kid_subset_size=9"):
        KernelDistance(1, 10)(evidence(normal(9, 3, 0), normal(20, 3, 1)))
    with pytest.raises(DataError, match=r"9 reference images .*at least 10"):
        KernelDistance(1, 10)(evidence(normal(20, 3, 0), normal(9, 3, 1)))


def test_cmmd_is_the_papers_estimator() -> None:
    x, y = (normal(n, 12, s) + s for n, s in ((70, 0), (90, 1)))
    one, two = (F.normalize(z.double(), dim=1) for z in (x, y))
    xx, yy, xy = ((-torch.cdist(a, b).square() / 200.0).exp().mean() for a, b in ((one, one), (two, two), (one, two)))
    expected = 1000.0 * float(xx + yy - 2.0 * xy)
    assert value(Cmmd(), evidence(x, y), "cmmd") == pytest.approx(expected, rel=1e-5)


def test_cmmd_of_two_opposite_directions_has_the_closed_form() -> None:
    x = torch.tensor([[3.0, 0.0]]).repeat(5, 1)
    # all distances are 0 within and 2 across
    expected = 2000.0 * (1.0 - torch.tensor(-4.0 / 200.0).exp().item())
    assert value(Cmmd(), evidence(x, -x), "cmmd") == pytest.approx(expected, rel=1e-5)
    assert value(Cmmd(), evidence(x, 7.0 * x), "cmmd") == pytest.approx(0.0, abs=1e-4)


def test_cmmds_interval_holds_the_expected_distance_at_its_nominal_rate() -> None:
    reference = table(normal(300, 6, 10_000))
    rates = held(Cmmd(), lambda seed: evidence(normal(200, 6, seed) + 0.4, reference), 200)
    assert rates["cmmd"] == pytest.approx(0.95, abs=0.055)
