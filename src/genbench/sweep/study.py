"""A study: every trial is on disk from the moment it is asked for until it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from genbench.core import RunError
from genbench.core.differences import differences
from genbench.sweep.search import Outcome, Search, Trial
from genbench.sweep.space import exact
from genbench.sweep.storage import FILE, open_storage
from genbench.sweep.suggesting import RETRIES, distribution, sampler, suggest
from genbench.sweep.trial import PRUNED

SEARCH, PRUNER, REASON = "search", "pruner", "reason"
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def state_of(trial: FrozenTrial) -> str:
    """complete, pruned, failed or running."""
    return next((name for name, state in STATES.items() if state == trial.state), "running")


class Study:
    """Optuna's study of a search in a folder, made there or gone on with; one process at a time.

    `pruner` is the config of what trials are stopped by, None for nothing.

    Raises:
        RunError: the folder holds another search, or another process is at it.
    """

    def __init__(self, folder: Path, search: Search, pruner: Mapping[str, Any] | None = None) -> None:
        self.folder, self.search = folder, search
        self._space = {name: distribution(parameter) for name, parameter in search.space.items()}
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"another process is running the study {folder}: wait for it, or name another") from None
        try:
            self._open(pruner)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, pruner: Mapping[str, Any] | None) -> None:
        self._storage = open_storage(self.folder)
        names = [study.study_name for study in self._storage.get_all_studies()]
        if not names and (trials := sorted(self.folder.glob("trial-*"))):
            raise RunError(
                f"{self.folder} holds {trials[0].name} but no study that says what was tried in it: restore its "
                f"{FILE}, or choose another hydra.sweeper.study"
            )
        name = names[0] if names else self.folder.name  # the folder may have been renamed since
        self._study = optuna.create_study(
            storage=self._storage, study_name=name, direction=self.search.direction, load_if_exists=True
        )
        self._id = self._storage.get_study_id_from_name(name)
        there, here = self._study.user_attrs.get(SEARCH), self.search.identity
        if there is not None and "config" not in there:
            raise RunError(
                f"{self.folder} holds a study of an earlier version, which does not say what was trained: choose "
                "another hydra.sweeper.study"
            )
        if there is not None and (found := list(differences(there, here))):
            raise RunError(
                f"{self.folder} holds another study; it differs in {'; '.join(found[:5])}"
                f"{' and more' if len(found) > 5 else ''}: choose another hydra.sweeper.study"
            )
        self._study.set_user_attr(SEARCH, here)
        self._study.set_user_attr(PRUNER, None if pruner is None else dict(pruner))
        self._study.sampler = sampler(self.search, self.trials)

    def __enter__(self) -> Study:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, as Optuna has them."""
        return self._study.get_trials(deepcopy=False)

    @property
    def best(self) -> FrozenTrial | None:
        """The trial of the best score; None while there is none."""
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return self._study.best_trial if complete else None

    def unfinished(self) -> list[Trial]:
        """The trials that were asked for and never told, with the values they were asked for with."""
        while any(trial.state == TrialState.WAITING for trial in self.trials):
            self._study.ask(self._space)  # a trial that was to be retried
        left = [trial for trial in self.trials if not trial.state.is_finished()]
        for trial in left:
            if trial.params.keys() != self._space.keys():
                # its sweep died between two of its values
                begun = optuna.Trial(self._study, self._trial_id(trial.number))
                for name, kind in self._space.items():
                    suggest(begun, name, kind)
        return [self.trial(trial.number) for trial in left]

    def ask(self) -> Trial:
        """The next trial."""
        return self.trial(self._study.ask(self._space).number)

    def failed(self) -> list[Trial]:
        """The trials that failed by themselves and were not retried since."""
        trials = self.trials
        seen = [self.seen(trial, trials) for trial in trials if trial.state == TrialState.FAIL]
        retried = {trial.user_attrs[RETRIES] for trial in trials if RETRIES in trial.user_attrs}
        return [trial for trial in seen if trial.lead == trial.number not in retried]

    def again(self, trial: Trial) -> Trial:
        """A failed trial's values as another trial, with what its previews had told."""
        failed = self.trials[trial.number]
        self._study.enqueue_trial(failed.params, user_attrs={RETRIES: trial.number})
        found = self.ask()
        for step, measured in failed.intermediate_values.items():
            self._storage.set_trial_intermediate_value(self._trial_id(found.number), step, measured)
        return found

    @property
    def count(self) -> int:
        """How many trials there are, those that were retried once."""
        return sum(RETRIES not in trial.user_attrs for trial in self.trials)

    def trial(self, number: int) -> Trial:
        """A trial that has its values."""
        trials = self.trials  # each look reads the file
        return self.seen(trials[number], trials)

    def seen(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> Trial:
        """A trial of Optuna's, one of these, as it is trained."""
        alike = [other for other in trials[: trial.number + 1] if other.params == trial.params]
        retried = [other.number for other in alike if RETRIES in other.user_attrs]
        home = alike[0].number
        values = {name: exact(parameter, trial.params[name]) for name, parameter in self.search.space.items()}
        return Trial(trial.number, values, home, retried[-1] if retried else home)

    def run_dir(self, trial: Trial) -> Path:
        """Where its training lies."""
        return self.folder / f"trial-{trial.home}"

    def pruned(self, trial: Trial) -> bool:
        """Whether its training was stopped as hopeless."""
        return PRUNED in self.trials[trial.lead].user_attrs

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Ends a trial, unless it was stopped from outside: that is only written down."""
        if outcome.reason is not None:
            self._storage.set_trial_user_attr(self._trial_id(trial.number), REASON, outcome.reason)
        if outcome.state == "stopped":
            return
        self._study.tell(trial.number, outcome.value, state=STATES[outcome.state])

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
