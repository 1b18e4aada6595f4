import math

import pytest
import torch
from clouds import error, evidence, held, normal, table, value
from torch import Tensor
from torch_fidelity.metric_prc import prc_features_to_metric

from genbench.core import DataError
from genbench.metrics import DensityCoverage, PrecisionRecall
from genbench.metrics import neighbours as blocks
from genbench.metrics.neighbours import kth_distances, nearest


def line(*points: float) -> Tensor:
    return torch.tensor(points)[:, None]


def test_a_collapsed_cloud_is_precise_and_recalls_nothing() -> None:
    reference = normal(300, 4, 0)
    collapsed = reference[:1] + 0.001 * normal(200, 4, 1)
    scores = PrecisionRecall(3)(evidence(collapsed, reference))
    assert scores["precision"].value == 1.0
    assert scores["recall"].value is not None
    assert scores["recall"].value < 0.02
    swapped = PrecisionRecall(3)(evidence(reference, collapsed))
    assert swapped["recall"].value == 1.0
    assert swapped["precision"].value is not None
    assert swapped["precision"].value < 0.02


def test_precision_and_recall_on_a_line() -> None:
    # balls of the reference reach 1, those of the samples 1, 1 and 9
    scores = PrecisionRecall(1)(evidence(line(0.5, 1.5, 10.5), line(0.0, 1.0, 2.0, 3.0)))
    assert scores["precision"].value == pytest.approx(2 / 3)
    assert scores["recall"].value == 0.75 + 0.25
    far = PrecisionRecall(1)(evidence(line(20.0, 21.0), line(0.0, 1.0, 2.0, 3.0)))
    assert (far["precision"].value, far["recall"].value) == (0.0, 0.0)


@pytest.mark.parametrize(("n", "m", "d", "k"), [(150, 200, 8, 3), (300, 120, 32, 5), (90, 90, 2, 1)])
def test_torch_fidelity_counts_the_same(monkeypatch: pytest.MonkeyPatch, n: int, m: int, d: int, k: int) -> None:
    # so few distances at a time that there are several blocks, the last one smaller
    monkeypatch.setattr(blocks, "BLOCK", 3700)
    x, y = normal(n, d, 1) * 0.8 + 0.3, normal(m, d, 2)
    expected = prc_features_to_metric(x, y, prc_neighborhood=k, save_cpu_ram=True, verbose=False)
    scores = PrecisionRecall(k)(evidence(x, y))
    for key in ("precision", "recall"):
        # theirs are means in float32
        assert scores[key].value == pytest.approx(expected[key], rel=1e-6)


def test_density_and_coverage_on_a_line() -> None:
    # 0.5 lies in the balls of 0 and 1, 2.5 in those of 2 and 3, 10 in none
    scores = DensityCoverage(1)(evidence(line(0.5, 0.5, 2.5, 10.0), line(0.0, 1.0, 2.0, 3.0)))
    assert scores["density"].value == (2 + 2 + 2 + 0) / 4
    assert scores["coverage"].value == 1.0
    assert scores["density"].error == pytest.approx(math.sqrt(0.75) / 2.0)
    one_side = DensityCoverage(1)(evidence(line(0.5, 0.5), line(0.0, 1.0, 2.0, 3.0)))
    assert (one_side["density"].value, one_side["coverage"].value) == (2.0, 0.5)


def test_density_and_coverage_of_the_reference_itself_and_of_one_far_outlier() -> None:
    reference = normal(400, 3, 0)
    same = DensityCoverage(5)(evidence(reference.flip(0), reference))
    assert same["coverage"].value == 1.0
    # each ball of the 5th neighbour holds its centre and 5 others
    assert same["density"].value == pytest.approx(6 / 5)
    # an outlier among the samples has a ball over everything; density and coverage take only the reference's
    far = torch.cat([torch.full((3, 3), 40.0), torch.full((1, 3), -40.0)])
    assert value(PrecisionRecall(3), evidence(far, reference), "recall") == 1.0
    assert value(DensityCoverage(3), evidence(far, reference), "coverage") == 0.0


def test_density_of_equal_distributions_is_about_one() -> None:
    found = [value(DensityCoverage(5), evidence(normal(400, 4, s), normal(400, 4, 99)), "density") for s in range(10)]
    assert sum(found) / 10 == pytest.approx(1.0, abs=0.05)


def test_the_error_of_coverage_is_the_jackknife() -> None:
    samples, reference = normal(40, 2, 1), normal(60, 2, 2)
    left = torch.tensor(
        [
            value(DensityCoverage(3), evidence(torch.cat([samples[:i], samples[i + 1 :]]), reference), "coverage")
            for i in range(40)
        ]
    ).double()
    expected = math.sqrt(39 / 40 * float((left - left.mean()).square().sum()))
    assert error(DensityCoverage(3), evidence(samples, reference), "coverage") == pytest.approx(expected, rel=1e-6)


def test_intervals_hold_the_expected_scores() -> None:
    reference = table(normal(500, 6, 10_000))
    for metric in (PrecisionRecall(3), DensityCoverage(3)):
        rates = held(metric, lambda seed: evidence(normal(300, 6, seed) * 0.8 + 0.4, reference), 200)
        for key in {"precision", "density"} & set(rates):
            assert rates[key] == pytest.approx(0.95, abs=0.055)
        for key in {"recall", "coverage"} & set(rates):
            # the jackknife's bias is upwards
            assert rates[key] > 0.9


def test_too_few_neighbours_are_named() -> None:
    with pytest.raises(DataError, match=r"at least 4 .*protocol\.neighbours=2"):
        PrecisionRecall(3)(evidence(normal(3, 2, 0), normal(9, 2, 1)))
    with pytest.raises(DataError, match="at least 6"):
        DensityCoverage(5)(evidence(normal(9, 2, 0), normal(5, 2, 1)))


def test_neighbours_of_points_on_a_line_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    points = line(0.0, 1.0, 3.0, 7.0)
    for size in (1, 9, 1000):
        monkeypatch.setattr(blocks, "BLOCK", size)
        assert kth_distances(points, 2).tolist() == [3.0, 2.0, 3.0, 6.0]
        distance, index = nearest(line(2.5, -1.0), points)
        assert distance.tolist() == [0.5, 1.0]
        assert index.tolist() == [2, 0]


def test_a_copy_far_from_the_origin_is_at_distance_zero() -> None:
    rows = normal(60, 32, 0) + 1000.0
    assert nearest(rows, rows.flip(0))[0].tolist() == [0.0] * 60
