"""What the previews of a training tell a study, and what it answers."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import pytest
from objectives import SEARCH

from genbench.sweep import storage
from genbench.sweep.running import run_trials
from genbench.sweep.search import Outcome, Trial
from genbench.sweep.study import Study
from genbench.sweep.trial import TrialReport

PRUNER = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 2}


def build(node: dict) -> optuna.pruners.BasePruner:
    return optuna.pruners.MedianPruner(n_startup_trials=node["n_startup_trials"])


@pytest.mark.parametrize(("fd", "hopeless"), [(19.0, False), (20.1, True)])
def test_a_training_worse_than_the_median_of_the_others_is_hopeless(fd: float, hopeless: bool, tmp_path: Path) -> None:
    folder = tmp_path / "s"

    def launch(trials: list[Trial]) -> list[str | None]:
        (trial,) = trials
        report = TrialReport(folder, trial.number, build)
        measured = {0: 10.0, 1: 30.0}.get(trial.number, fd)
        # a resumed training repeats itself
        found = [report.hopeless(64, {"fd": measured, "kid": 0.0}) for _ in range(2)]
        assert found == [trial.number == 2 and hopeless] * 2
        return [None]

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
    harsh = TrialReport(folder, 0, lambda node: optuna.pruners.ThresholdPruner(upper=0.0))
    assert harsh.hopeless(128, {"fd": 1.0})
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


def test_a_training_whose_study_is_out_of_reach_goes_on_and_tells_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "s"
    with Study(folder, SEARCH, PRUNER) as study:
        study.ask()
        monkeypatch.setattr(storage, "PATIENCE", 0.1)
        report = TrialReport(folder, 0, lambda node: optuna.pruners.ThresholdPruner(upper=25.0))
        # not from the start, not in the middle, and not for what is told of the end
        with locked(folder / "study.db"):
            assert not report.hopeless(64, {"fd": 10.0})
        assert not report.hopeless(128, {"fd": 20.0})
        with locked(folder / "study.db"):
            assert not report.hopeless(192, {"fd": 30.0})
        assert study.trials[0].intermediate_values == {64: 10.0, 128: 20.0}
        assert [message.partition(":")[0] for message in caplog.messages] == [
            f"the study {folder} cannot be reached at this preview ((sqlite3.OperationalError) database is locked)"
        ] * 2
        with monkeypatch.context() as patch:
            patch.setattr(optuna.Trial, "set_user_attr", unreadable)
            assert not report.hopeless(256, {"fd": 40.0})
        assert not study.pruned(study.trial(0))
        assert report.hopeless(320, {"fd": 50.0})
        assert study.trials[0].intermediate_values == {64: 10.0, 128: 20.0, 192: 30.0, 256: 40.0, 320: 50.0}
        assert study.pruned(study.trial(0))


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """The file as another process's that does not let go of it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def unreadable(*_: object) -> None:
    raise optuna.exceptions.StorageInternalError from OSError(5, "Input/output error")
