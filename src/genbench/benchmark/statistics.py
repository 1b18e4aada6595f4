"""Means, spreads, standard errors, and the test that tells two models apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.special import stdtr, stdtrit

Spread = Literal["training seeds", "sampling seeds"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean, its sample standard deviation and what was repeated to get it; None where not known."""

    mean: float | None
    std: float | None
    spread: Spread | None


def finite(value: Any) -> float | None:
    """The value as a float, or None for a missing or non-finite one."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def mean(values: Iterable[Any]) -> float | None:
    """Arithmetic mean; None if there are no values or any is missing or not finite.

    A mean over the runs that happened to succeed would flatter a model that sometimes fails.
    """
    numbers = [finite(value) for value in values]
    known = [number for number in numbers if number is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(numbers) else None


def sample_std(values: Iterable[Any]) -> float | None:
    """Standard deviation with n - 1; None for fewer than two values or any missing one."""
    numbers = list(values)
    centre = mean(numbers)
    if centre is None or len(numbers) < 2:
        return None
    return math.sqrt(math.fsum((float(n) - centre) ** 2 for n in numbers) / (len(numbers) - 1))


def spread_of(repeats_per_seed: Sequence[Sequence[Any]]) -> Spread | None:
    """What a ± over these training seeds, each sampled some number of times, is a spread over."""
    if len(repeats_per_seed) >= 2:
        return "training seeds"
    if len(repeats_per_seed) == 1 and len(repeats_per_seed[0]) >= 2:
        return "sampling seeds"
    return None


def estimate(values: Sequence[Sequence[Any]]) -> Estimate:
    """Mean over every (training seed, sampling repeat) of `values[seed][repeat]`, with its spread.

    With two training seeds or more the std is that of the seeds' own means: it holds the training noise as well
    as what sampling noise is left after averaging. With one it is that of the sampling repeats.
    """
    spread = spread_of(values)
    std = sample_std(mean(seed) for seed in values) if spread == "training seeds" else None
    if spread == "sampling seeds":
        std = sample_std(values[0])
    return Estimate(mean(value for seed in values for value in seed), std, spread)


def interval(centre: float, error: float, freedom: float = math.inf) -> list[float]:
    """The 95 % interval [low, high] about a mean; `freedom` are the t distribution's, infinite for a normal one."""
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return [centre - half, centre + half]


def welch(
    a: float, a_error: float, b: float, b_error: float, a_freedom: float = math.inf, b_freedom: float = math.inf
) -> float:
    """Two-sided p-value that two means with these standard errors are equal (Welch, 1947, unequal variances).

    Errors that come of n numbers have n - 1 degrees of freedom, those known from resampling infinitely many: of two
    such this is the z-test.
    """
    variance = a_error**2 + b_error**2
    if variance == 0:
        return 1.0 if a == b else 0.0
    parts = a_error**4 / a_freedom + b_error**4 / b_freedom
    freedom = variance**2 / parts if parts > 0 else math.inf
    return 2 * float(stdtr(freedom, -abs(a - b) / math.sqrt(variance)))
