import math

import pytest

from genbench.core import ConfigError
from genbench.training.lr import Constant, Cosine


def test_warmup_is_linear_in_images() -> None:
    schedule = Constant(warmup=1000)
    assert [schedule.factor(n, 10_000) for n in (0, 250, 1000, 5000)] == [0.0, 0.25, 1.0, 1.0]


def test_cosine_follows_its_formula() -> None:
    schedule = Cosine(final=0.1)
    for images in (0, 1234, 5000, 10_000):
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * images / 10_000))
        assert schedule.factor(images, 10_000) == pytest.approx(expected, abs=1e-15)
    assert Cosine().factor(10_000, 10_000) == pytest.approx(0.0, abs=1e-15)


def test_beyond_the_budget_the_cosine_stays_at_its_end() -> None:
    assert Cosine(final=0.2).factor(20_000, 10_000) == pytest.approx(0.2)


@pytest.mark.parametrize("build", [lambda: Constant(warmup=-1), lambda: Cosine(final=1.5)])
def test_values_without_meaning_are_refused(build) -> None:
    with pytest.raises(ConfigError, match="lr_scheduler"):
        build()
