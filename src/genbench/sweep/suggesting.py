"""Optuna's suggestions: parameters as its distributions, and a sampler that goes on where it was."""

from __future__ import annotations

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from genbench.sweep.search import Search
from genbench.sweep.space import Choice, Interval, Parameter

RETRIES = "retries"
"""What a trial is marked with that has the values of one that failed: that one's number."""


def distribution(parameter: Parameter) -> BaseDistribution:
    """A parameter as Optuna has it."""
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.values)
    if isinstance(parameter, Interval):
        if parameter.whole:
            return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    low, high, step = parameter.values[0], parameter.values[-1], parameter.step
    if isinstance(low, int) and isinstance(step, int):
        return IntDistribution(low, int(high), step=step)
    return FloatDistribution(low, high, step=step)


def suggest(trial: optuna.Trial, name: str, kind: BaseDistribution) -> None:
    """Gives a trial a value, unless it has one."""
    if isinstance(kind, CategoricalDistribution):
        trial.suggest_categorical(name, kind.choices)
    elif isinstance(kind, IntDistribution):
        trial.suggest_int(name, kind.low, kind.high, step=kind.step, log=kind.log)
    elif isinstance(kind, FloatDistribution):
        trial.suggest_float(name, kind.low, kind.high, step=kind.step, log=kind.log)


def sampler(search: Search, trials: list[FrozenTrial]) -> TPESampler:
    """TPE as it stood when the last of the trials had been asked for.

    All are asked for once more, in memory, each knowing what the real one knew. So a study that was interrupted goes on
    with the suggestions it would have had, and its random ones are not drawn again.
    """
    found = TPESampler(seed=search.seed, n_startup_trials=search.startup, constant_liar=True)
    if not trials:
        return found
    # as the real one lies: a sampler knows its study by its number there, which is 1
    study = optuna.create_study(storage="sqlite:///:memory:", sampler=found, direction=search.direction)
    space = {name: distribution(parameter) for name, parameter in search.space.items()}
    asked: list[optuna.Trial] = []
    told: set[int] = set()
    for trial in trials:
        for other in trials[: trial.number]:
            if other.number not in told and _known(other, trial):
                _tell(study, asked[other.number], other)
                told.add(other.number)
        if RETRIES in trial.user_attrs:  # which was given its values
            study.enqueue_trial(trial.system_attrs["fixed_params"])
        asked.append(study.ask(space))
    return found


def _known(trial: FrozenTrial, later: FrozenTrial) -> bool:
    """Whether a trial had ended when a later one was asked for."""
    ended, begun = trial.datetime_complete, later.datetime_start
    return ended is not None and begun is not None and ended <= begun


def _tell(study: optuna.Study, trial: optuna.Trial, real: FrozenTrial) -> None:
    for step, measured in real.intermediate_values.items():
        trial.report(measured, step)
    study.tell(trial, real.value if real.state == TrialState.COMPLETE else None, state=real.state)
