"""The test that tells two rows apart: known values, its level and its name."""

import math

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_ind

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.compare import compare
from genbench.benchmark.statistics import interval, welch


def row(cell, model, fds, error=None):
    """A row of one training per number, or of one with that standard error."""
    (made,) = aggregate([cell(model, seed=i, fds=(fd,), error=error) for i, fd in enumerate(fds)])
    return made


def test_one_training_each_is_a_z_test_of_the_bootstrap_errors(cell):
    found = compare(row(cell, "a", [5.0], 0.3), row(cell, "b", [6.0], 0.4), "fd")
    assert found is not None
    assert found.p == pytest.approx(math.erfc(2.0 / math.sqrt(2)))  # one in a standard error of 0.5
    assert found.test == "a bootstrap z-test"
    assert found.distinguishable


def test_several_trainings_each_are_welchs_t_test(cell):
    a, b = [4.0, 5.0, 7.0], [8.0, 9.5]
    found = compare(row(cell, "a", a, 0.001), row(cell, "b", b, 0.001), "fd")
    assert found is not None
    assert found.p == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue, rel=1e-9)
    assert found.test == "Welch's t-test over training seeds"


def test_one_training_against_several_takes_the_freedom_of_the_several(cell):
    several, one = row(cell, "a", [4.0, 6.0]), row(cell, "b", [9.0], 0.5)
    found = compare(several, one, "fd")
    assert found is not None
    freedom = (1.0 + 0.25) ** 2 / 1.0  # Welch and Satterthwaite: errors 1 of two seeds, and 0.5 known without doubt
    assert found.p == pytest.approx(2 * student.sf(4.0 / math.sqrt(1.25), freedom), rel=1e-9)
    assert "one training seed" in found.test


def test_without_standard_errors_there_is_no_test(cell):
    assert compare(row(cell, "a", [5.0], 0.3), row(cell, "b", [6.0]), "fd") is None
    assert compare(row(cell, "a", [math.nan], 0.3), row(cell, "b", [6.0], 0.3), "fd") is None


@pytest.mark.parametrize(("b", "p"), [(5.0, 1.0), (5.1, 0.0)])
def test_exact_numbers_differ_or_do_not(b, p):
    assert welch(5.0, 0.0, b, 0.0) == p


def test_the_interval_is_the_normal_ones_or_the_t_distributions():
    assert interval(0.0, 1.0) == pytest.approx([-1.959964, 1.959964], rel=1e-6)
    assert interval(1.0, 2.0, 1) == pytest.approx([1 - 2 * 12.706205, 1 + 2 * 12.706205], rel=1e-6)


def test_equal_models_are_told_apart_no_more_often_than_alpha():
    draws = np.random.default_rng(0).normal(10.0, 2.0, size=(2, 2000, 4))
    means, errors = draws.mean(-1), draws.std(-1, ddof=1) / 2.0
    pairs = zip(means[0], errors[0], means[1], errors[1], strict=True)
    told_apart = np.mean([welch(a, a_error, b, b_error, 3, 3) < 0.05 for a, a_error, b, b_error in pairs])
    assert 0.03 < told_apart < 0.06  # Welch's test keeps a little below its level
