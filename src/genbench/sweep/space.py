"""What a sweep searches, in Hydra's own sweep syntax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep, Sweep

from genbench.core import ConfigError

Value = str | int | float | bool
"""A parameter's value; text stands on a command line as it is."""

LOG = "log"
"""The one tag that says something: `tag(log, interval(1e-5, 1e-2))`."""


@dataclass(frozen=True)
class Choice:
    """One of these values, without an order."""

    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"choice({','.join(map(written, self.values))})"


@dataclass(frozen=True)
class Interval:
    """A number from `low` to `high`, whole or real, even on a linear or a logarithmic scale."""

    low: float
    high: float
    whole: bool = False
    log: bool = False

    def __str__(self) -> str:
        text = f"interval({self.low},{self.high})"
        text = f"int({text})" if self.whole else text
        return f"tag(log,{text})" if self.log else text


@dataclass(frozen=True)
class Steps:
    """One of these ascending values, `step` apart."""

    values: tuple[float, ...]
    step: float

    def __str__(self) -> str:
        return f"range({self.values[0]} to {self.values[-1]} by {self.step})"


Parameter = Choice | Interval | Steps
Space = dict[str, Parameter]
"""What is searched, by the key of the config."""


def read(overrides: Sequence[Override]) -> tuple[list[str], Space]:
    """The overrides that are given to every training, as they were typed, and what is searched.

    Raises:
        ConfigError: nothing is searched, or in a way that has no meaning here.
    """
    last = {override.get_key_element(): override for override in overrides}
    fixed = [str(override.input_line) for override in last.values() if not override.is_sweep_override()]
    space = {key: _parameter(key, override) for key, override in last.items() if override.is_sweep_override()}
    if not space:
        raise ConfigError(
            "nothing is searched: give values to choose from, such as optimizer.lr='tag(log,interval(1e-4,1e-2))' or "
            "model.width=choice(32,64)"
        )
    return fixed, space


def written(value: Value) -> str:
    """A value as Hydra's command line reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def first(parameter: Parameter) -> Value:
    """A value of a parameter, to try its key with."""
    return parameter.low if isinstance(parameter, Interval) else parameter.values[0]


def exact(parameter: Parameter, value: Value) -> Value:
    """A suggested value as it was typed: steps that are added up miss it by a rounding."""
    if not isinstance(parameter, Steps):
        return value
    return min(parameter.values, key=lambda each: abs(each - float(value)))


def _parameter(key: str, override: Override) -> Parameter:
    value = override.value()
    if isinstance(value, Glob):
        raise ConfigError(f"{key}: glob(...) is no list of values: name them, {key}=choice(a,b)")
    assert isinstance(value, Sweep)
    if unknown := sorted(value.tags - {LOG}):
        raise ConfigError(f"{key}: tag({unknown[0]}, ...) means nothing here: tag(log, ...) is a logarithmic scale")
    if isinstance(value, RangeSweep | ChoiceSweep) and value.shuffle:
        raise ConfigError(f"{key}: a study chooses for itself what comes next: leave shuffle(...) out")
    if isinstance(value, IntervalSweep):
        return _interval(key, value)
    if value.tags:
        raise ConfigError(f"{key}: only an interval has a logarithmic scale: tag(log, interval(a, b))")
    if isinstance(value, RangeSweep):
        return _steps(key, value)
    assert isinstance(value, ChoiceSweep)
    # once each, by what is typed; lists and quoted words stay as they are typed
    values = dict(zip(override.sweep_string_iterator(), value.list, strict=True))
    return Choice(tuple(each if isinstance(each, (bool, int, float)) else text for text, each in values.items()))


def _interval(key: str, value: IntervalSweep) -> Interval:
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    if not low < high:
        raise ConfigError(f"{key}: interval({low},{high}) is empty: give the lower end first")
    if value.tags and low <= 0:
        raise ConfigError(f"{key}: a logarithmic scale begins above 0, and this at {low}: give a positive lower end")
    return Interval(low, high, isinstance(low, int) and isinstance(high, int), bool(value.tags))


def _steps(key: str, value: RangeSweep) -> Steps:
    # as they are typed: sums of binary fractions would miss the last number, or end beside it
    start, stop, step = (Decimal(str(each)) for each in (value.start, value.stop, value.step))
    if not step or not (start.is_finite() and stop.is_finite() and step.is_finite()):
        raise ConfigError(f"{key}: a range goes from one number to another in steps: range(1,9,2)")
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise ConfigError(f"{key}: the range holds no number: its end is not part of it")
    kind = int if all(isinstance(each, int) for each in (value.start, value.step)) else float
    numbers = sorted(start + number * step for number in range(count))
    return Steps(tuple(map(kind, numbers)), kind(abs(step)))
