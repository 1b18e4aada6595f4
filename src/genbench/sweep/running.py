"""The trials of a study, one batch after another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from genbench.core.files import write_json
from genbench.sweep.search import Outcome, Trial
from genbench.sweep.study import REASON, Study, state_of

log = logging.getLogger(__name__)

SUMMARY = "study.json"

Launch = Callable[[Sequence[Trial]], Sequence[Outcome | None]]
"""Trains these trials; for each that and why it failed or was stopped from outside, or None."""

Found = Callable[[Trial], Outcome | None]
"""What the folder of a trial says became of it; None if it says nothing yet."""


def run_trials(
    study: Study, n_trials: int, n_jobs: int, launch: Launch, found: Found, retry_failed: bool = False
) -> None:
    """Fills a study up to `n_trials`, at most `n_jobs` at once; those an interrupted sweep left open come first.

    What has ended is not trained again, and of trials with the same values only the first is trained. A trial that
    fails is told so, and the others go on. One that was stopped from outside stays open, for the next start; with
    `retry_failed` those that failed are trained once more.
    """

    def known(trial: Trial) -> Outcome | None:
        return Outcome("pruned") if study.pruned(trial) else found(trial)

    # not those whose training ended in no number, but those that someone has finished since
    failed = study.failed() if retry_failed else []
    again = [trial for trial in failed if (outcome := known(trial)) is None or outcome.state == "complete"]
    for batch in _batches(study, n_trials, n_jobs, again):
        todo = [trial for trial in batch if trial.lead == trial.number and known(trial) is None]
        failures = dict(zip((trial.number for trial in todo), launch(todo) if todo else (), strict=True))
        for trial in batch:
            outcome = known(trial) or _failed(trial, study, failures)
            study.tell(trial, outcome)
            log.info("trial %d %s", trial.number, _words(study, trial, outcome))
        write_json(study.folder / SUMMARY, summary(study))


def _batches(study: Study, n_trials: int, n_jobs: int, again: Sequence[Trial]) -> Iterator[list[Trial]]:
    left = study.unfinished()
    for start in range(0, len(left), n_jobs):
        yield left[start : start + n_jobs]
    for start in range(0, len(again), n_jobs):
        yield [study.again(trial) for trial in again[start : start + n_jobs]]
    while (missing := n_trials - study.count) > 0:
        yield [study.ask() for _ in range(min(n_jobs, missing))]


def _failed(trial: Trial, study: Study, failures: Mapping[int, Outcome | None]) -> Outcome:
    if trial.lead == trial.number:
        return failures[trial.number] or Outcome("failed", reason="it ended without a result")
    if study.trials[trial.lead].state.is_finished():
        return Outcome("failed", reason=f"it has the values of trial {trial.lead}, which failed")
    return Outcome("stopped", reason=f"it has the values of trial {trial.lead}, which was")


def _words(study: Study, trial: Trial, outcome: Outcome) -> str:
    if outcome.reason is not None:
        went_on = "; the same command goes on with it" if outcome.state == "stopped" else ""
        return f"{'was stopped' if went_on else 'failed'}: {outcome.reason.splitlines()[-1].strip()}{went_on}"
    told = "was pruned" if outcome.value is None else f"has {study.search.objective} {outcome.value:.5g}"
    return told if trial.lead == trial.number else f"{told}, as trial {trial.lead} with the same values"


def summary(study: Study) -> dict[str, Any]:
    """The study as JSON values: what was searched, every trial, and the best."""
    best, trials = study.best, study.trials
    told = [_told(study, trial, trials) for trial in trials]
    return {**study.search.identity, "trials": told, "best": None if best is None else told[best.number]}


def _told(study: Study, frozen: FrozenTrial, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    trial, state = study.seen(frozen, trials), state_of(frozen)
    return {
        "number": trial.number,
        "state": state,
        study.search.objective: frozen.value if state == "complete" else None,
        "values": dict(trial.values),
        "run": str(study.run_dir(trial)),
        "reason": frozen.user_attrs.get(REASON) if state in ("failed", "running") else None,
        "overrides": study.search.overrides(trial.values),
    }
