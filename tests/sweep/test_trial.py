"""What the previews of a training tell a study, and what it answers."""

from pathlib import Path

import optuna
import pytest
from objectives import SEARCH

from genbench.sweep.running import run_trials
from genbench.sweep.search import Outcome, Trial
from genbench.sweep.study import Study
from genbench.sweep.trial import TrialReport

PRUNER = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 2}


def build(node: dict) -> optuna.pruners.BasePruner:
    return optuna.pruners.MedianPruner(n_startup_trials=node["n_startup_trials"])


@pytest.mark.parametrize(("fd", "hopeless"), [(19.0, False), (20.1, True)])
def test_a_training_worse_than_the_median_of_the_others_is_hopeless(fd: float, hopeless: bool, tmp_path: Path) -> None:
    folder, stopped = tmp_path / "s", []

    def launch(trials: list[Trial]) -> list[str | None]:
        (trial,) = trials
        report = TrialReport(folder, trial.number, build)
        measured = {0: 10.0, 1: 30.0}.get(trial.number, fd)
        # a resumed training repeats itself
        found = [report.hopeless(64, {"fd": measured, "kid": 0.0}) for _ in range(2)]
        assert found == [trial.number == 2 and hopeless] * 2
        if found[0]:
            report.stopped(64)
            stopped.append(trial.number)
        return [None]

    def found(trial: Trial) -> Outcome | None:
        return None if trial.number in stopped else Outcome("complete", 1.0)

    with Study(folder, SEARCH, PRUNER) as study:
        for _ in range(3):
            trial = study.ask()
            launch([trial])
            study.tell(trial, Outcome("pruned") if study.pruned(trial) else Outcome("complete", 1.0))
        states = [trial.state.name for trial in study.trials]
        assert states == ["COMPLETE", "COMPLETE", "PRUNED" if hopeless else "COMPLETE"]
        assert study.trials[2].intermediate_values == {64: fd}


def test_a_trial_that_was_stopped_before_its_sweep_died_is_not_trained_again(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with Study(folder, SEARCH, PRUNER) as study:
        study.ask()
    TrialReport(folder, 0, build).stopped(128)
    with Study(folder, SEARCH, PRUNER) as study:
        run_trials(study, 1, 1, lambda trials: pytest.fail("trained"), lambda trial: None)
        assert [trial.state.name for trial in study.trials] == ["PRUNED"]


def test_other_numbers_than_the_studys_score_are_not_told(tmp_path: Path) -> None:
    with Study(tmp_path / "s", SEARCH, None) as study:
        study.ask()
        report = TrialReport(tmp_path / "s", 0, build)
        assert not report.hopeless(64, {"kid": 1e9})
        assert not report.hopeless(64, {"fd": 1e9})  # a study without a pruner
        assert study.trials[0].intermediate_values == {64: 1e9}
