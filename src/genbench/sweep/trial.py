"""A trial as its own training sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genbench.sweep.storage import open_storage

PRUNED = "pruned"
"""What a trial is marked with once its training was stopped."""


class TrialReport:
    """Tells a study what the previews of a training measure, and asks it whether to go on.

    `build` makes the study's pruner of its config. Nothing is told of a training whose previews do not measure the
    study's score.
    """

    def __init__(self, folder: Path, number: int, build: Callable[[Mapping[str, Any]], Any]) -> None:
        import optuna  # the extra `sweeps`

        storage = open_storage(folder)
        study = optuna.load_study(storage=storage, study_name=folder.name)
        self.number, self.objective = number, study.user_attrs["search"]["objective"]
        pruner = study.user_attrs["pruner"]
        study.pruner = optuna.pruners.NopPruner() if pruner is None else build(pruner)
        identity = storage.get_study_id_from_name(folder.name)
        self._trial = optuna.Trial(study, storage.get_trial_id_from_study_id_trial_number(identity, number))

    def hopeless(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Reports a preview; whether the training should stop."""
        if self.objective not in numbers:
            return False
        # a training that was interrupted repeats what it had told
        if step not in self._trial.storage.get_trial(self._trial._trial_id).intermediate_values:
            self._trial.report(numbers[self.objective], step)
        return self._trial.should_prune()

    def stopped(self, step: int) -> None:
        """Marks the trial, whose training has been saved."""
        self._trial.set_user_attr(PRUNED, step)
