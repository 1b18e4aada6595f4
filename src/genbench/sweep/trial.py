"""A trial as its own training sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.core import RunError
from genbench.core.errors import first_line
from genbench.sweep.storage import open_storage

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

PRUNED = "pruned"
"""What a trial is marked with once its training is to stop."""


class TrialReport:
    """Tells a study what the previews of a training measure, and asks it whether to go on.

    `build` makes the study's pruner of its config. Nothing is told of a training whose previews do not measure the
    study's score. While the study's file cannot be reached training goes on, and its previews are told later: a file
    that many machines share is busy or gone at times, which says nothing of the training.
    """

    def __init__(self, folder: Path, number: int, build: Callable[[Mapping[str, Any]], Any]) -> None:
        self.folder, self.number, self.build = folder, number, build
        self._trial: optuna.Trial | None = None
        self._untold: dict[int, Mapping[str, float]] = {}

    def hopeless(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Reports a preview; whether the training should stop, with which the trial is then marked."""
        import optuna  # the extra `sweeps`
        from sqlalchemy.exc import SQLAlchemyError

        self._untold[step] = numbers
        try:
            return self._ask(step)
        except (RunError, optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
            log.warning(
                "the study %s cannot be reached at this preview (%s): training goes on, and tells it at the next",
                *(self.folder, first_line(error.__cause__ or error)),
            )
            return False

    def _ask(self, step: int) -> bool:
        self._trial = self._trial or self._open()
        objective = self._trial.study.user_attrs["search"]["objective"]
        # a training that was interrupted repeats what it had told
        told = self._trial.storage.get_trial(self._trial._trial_id).intermediate_values
        for each, numbers in self._untold.items():
            if objective in numbers and each not in told:
                self._trial.report(numbers[objective], each)
        measured = objective in self._untold[step]
        self._untold.clear()
        found = measured and self._trial.should_prune()
        if found:
            self._trial.set_user_attr(PRUNED, step)
        return found

    def _open(self) -> optuna.Trial:
        import optuna

        storage = open_storage(self.folder)
        study = optuna.load_study(storage=storage, study_name=None)  # the only one, called as its folder was once
        pruner = study.user_attrs["pruner"]
        study.pruner = optuna.pruners.NopPruner() if pruner is None else self.build(pruner)
        identity = storage.get_study_id_from_name(study.study_name)
        return optuna.Trial(study, storage.get_trial_id_from_study_id_trial_number(identity, self.number))
