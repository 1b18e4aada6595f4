"""A study loses no trial and trains none twice, wherever it is interrupted, and suggests what Optuna alone would."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from objectives import SEARCH, Trainings, run, value
from optuna.trial import TrialState

from genbench.core import RunError
from genbench.sweep.running import run_trials
from genbench.sweep.search import Outcome, Trial
from genbench.sweep.space import Choice, Steps
from genbench.sweep.study import Study
from genbench.sweep.suggesting import distribution

N = 6


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple]:
    return run(tmp_path_factory.mktemp("study") / "s", Trainings(), N)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_suggestions_are_those_of_optuna_asked_directly(n_jobs: int, undisturbed: list[tuple], tmp_path: Path) -> None:
    sampler = optuna.samplers.TPESampler(seed=7, n_startup_trials=3, constant_liar=n_jobs > 1)
    study, space = optuna.create_study(sampler=sampler), {k: distribution(p) for k, p in SEARCH.space.items()}
    while len(study.trials) < N:
        asked = [study.ask(space) for _ in range(min(n_jobs, N - len(study.trials)))]
        for trial in asked:
            study.tell(trial, value(Trial(trial.number, trial.params, trial.number, trial.number)))
    found = undisturbed if n_jobs == 1 else run(tmp_path / "s", Trainings(), N, n_jobs)
    assert found == [(t.number, t.params, "COMPLETE", t.value) for t in study.trials]


@pytest.mark.parametrize(("moment", "at"), [("before", 0), ("before", 4), ("after", 3)])
def test_interrupted_between_ask_and_tell_it_goes_on_as_if_it_had_not_been(
    moment: str, at: int, undisturbed: list[tuple], tmp_path: Path
) -> None:
    trainings = Trainings()

    def interrupt(trial: Trial) -> None:
        if trial.number == at:
            raise KeyboardInterrupt

    setattr(trainings, moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", trainings, N)
    with Study(tmp_path / "s", SEARCH) as study:
        assert [t.state for t in study.trials] == [TrialState.COMPLETE] * at + [TrialState.RUNNING]
    setattr(trainings, moment, lambda trial: None)
    assert run(tmp_path / "s", trainings, N) == undisturbed
    assert trainings.trained == list(range(N))


def test_interrupted_in_a_batch_only_what_is_missing_is_trained(tmp_path: Path) -> None:
    straight, trainings = run(tmp_path / "straight", Trainings(), N, 3), Trainings()

    def interrupt(trial: Trial) -> None:
        if trial.number == 4:
            raise KeyboardInterrupt

    trainings.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", trainings, N, 3)
    trainings.before = lambda trial: None
    assert run(tmp_path / "s", trainings, N, 3) == straight
    assert trainings.trained == list(range(N))


def test_a_trial_whose_sweep_died_between_two_of_its_values_gets_the_other(tmp_path: Path) -> None:
    trainings = Trainings()
    run(tmp_path / "s", trainings, 2)
    with Study(tmp_path / "s", SEARCH) as study:
        half = study._study.ask().suggest_float("x", -3.0, 3.0)
    found = run(tmp_path / "s", trainings, 4)
    assert [state for _, _, state, _ in found] == ["COMPLETE"] * 4
    assert found[2][1]["x"] == half
    assert trainings.trained == [0, 1, 2, 3]


def test_a_failed_trial_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    trainings = Trainings()

    def launch(trials: list[Trial]) -> list[Outcome | None]:
        return [Outcome("failed", reason="loss is nan")] if trials[0].number == 1 else trainings.launch(trials)

    with Study(tmp_path / "s", SEARCH) as study:
        run_trials(study, 4, 1, launch, trainings.found)
        assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
        assert study.best is not None
        assert study.best.value == min(trainings.values.values())
    kept = json.loads((tmp_path / "s" / "study.json").read_text())
    assert [trial["reason"] for trial in kept["trials"]] == [None, "loss is nan", None, None]
    assert kept["best"]["fd"] == study.best.value
    assert kept["best"]["overrides"][0] == "model=vae"
    run(tmp_path / "s", trainings, 5)
    assert trainings.trained == [0, 2, 3, 4]


def test_a_trial_that_was_stopped_from_outside_is_gone_on_with_by_the_next_start(
    undisturbed: list[tuple], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainings = Trainings()

    def launch(trials: list[Trial]) -> list[Outcome | None]:
        if trials[0].number == 4:
            return [Outcome("stopped", reason="job 4 is CANCELLED for SLURM")]
        return trainings.launch(trials)

    caplog.set_level("INFO")
    with Study(tmp_path / "s", SEARCH) as study:
        run_trials(study, 5, 1, launch, trainings.found)
        assert [t.state.name for t in study.trials] == ["COMPLETE"] * 4 + ["RUNNING"]
    kept = json.loads((tmp_path / "s" / "study.json").read_text())["trials"][4]
    assert (kept["state"], kept["reason"]) == ("running", "job 4 is CANCELLED for SLURM")
    assert caplog.messages[-1] == (
        "trial 4 was stopped: job 4 is CANCELLED for SLURM; the same command goes on with it"
    )
    assert run(tmp_path / "s", trainings, N) == undisturbed
    assert trainings.trained == list(range(N))
    kept = json.loads((tmp_path / "s" / "study.json").read_text())["trials"][4]
    assert (kept["state"], kept["reason"]) == ("complete", None)


def test_trials_with_the_values_of_one_that_was_stopped_wait_for_it(tmp_path: Path) -> None:
    search, trainings = replace(SEARCH, space={"w": Choice((1, 2))}), []

    def launch(trials: list[Trial]) -> list[Outcome | None]:
        trainings.append([trial.number for trial in trials])
        return [Outcome("stopped", reason="SIGTERM")] * len(trials)

    with Study(tmp_path / "s", search) as study:
        run_trials(study, 6, 6, launch, lambda trial: None)
        assert {t.state.name for t in study.trials} == {"RUNNING"}
        run_trials(study, 6, 6, launch, lambda trial: Outcome("complete", 1.0))
        assert {t.state.name for t in study.trials} == {"COMPLETE"}
    assert len(trainings) == 1
    assert len(trainings[0]) == 2


def test_of_equal_values_only_the_first_is_trained(tmp_path: Path) -> None:
    search, trained = replace(SEARCH, space={"w": Choice((1, 2))}), []

    def launch(trials: list[Trial]) -> list[Outcome | None]:
        trained.extend(trial.values["w"] for trial in trials)
        return [Outcome("failed", reason="no")] * len(trials)

    with Study(tmp_path / "s", search) as study:
        run_trials(study, 6, 3, launch, lambda t: Outcome("complete", 1.0) if t.values["w"] == 1 else None)
        assert trained == [2]
        two = [trial for trial in study.trials if trial.params["w"] == 2]
        assert [trial.state.name for trial in two] == ["FAIL"] * len(two)
        assert 0 < len(two) < 6
        assert {trial.value for trial in study.trials if trial.params["w"] == 1} == {1.0}


def test_another_search_of_the_same_name_is_refused_with_the_difference(tmp_path: Path) -> None:
    with Study(tmp_path / "s", replace(SEARCH, config={"budget": {"images": 4}})):
        pass
    for other, difference in (
        (replace(SEARCH, objective="kid"), "objective: fd there, kid here"),
        (replace(SEARCH, direction="maximize"), "direction: minimize there, maximize here"),
        (replace(SEARCH, config={"budget": {"images": 8}}), "config.budget.images: 4 there, 8 here"),
        (replace(SEARCH, space={**SEARCH.space, "w": Choice((1, 3))}), "searched.w: choice(1,2) there, choice(1,3) he"),
    ):
        with pytest.raises(RunError) as error:
            Study(tmp_path / "s", other)
        assert difference in str(error.value)
        assert str(error.value).endswith("choose another hydra.sweeper.study")
        assert other.hash != SEARCH.hash


def test_a_study_of_an_earlier_version_is_refused_in_a_line(tmp_path: Path) -> None:
    with Study(tmp_path / "s", SEARCH) as study:
        told = study._study.user_attrs["search"]
        study._study.set_user_attr("search", {"given": {}, **{k: v for k, v in told.items() if k != "config"}})
    with pytest.raises(RunError, match=r"s holds a study of an earlier version, .*: choose another"):
        Study(tmp_path / "s", SEARCH)


def test_a_folder_of_trials_without_their_study_is_refused_and_a_renamed_one_goes_on(tmp_path: Path) -> None:
    there = run(tmp_path / "s", Trainings(), 2)
    (tmp_path / "s").rename(tmp_path / "t")
    assert run(tmp_path / "t", Trainings(), 2) == there
    (tmp_path / "t" / "trial-0").mkdir()
    (tmp_path / "t" / "study.db").unlink()
    with pytest.raises(RunError, match=r"t holds trial-0 but no study that says .*: restore its study\.db, or choose"):
        run(tmp_path / "t", Trainings(), 2)


def test_trials_that_failed_are_trained_once_more_where_that_is_asked_for(tmp_path: Path) -> None:
    straight, trainings = run(tmp_path / "straight", Trainings(), N), Trainings()
    good = trainings.launch

    def full_disk(trials: Sequence[Trial]) -> list[Outcome | None]:
        return [Outcome("failed", reason="no space left") if t.number in (1, 3) else good([t])[0] for t in trials]

    trainings.launch = full_disk  # type: ignore[method-assign]
    before = run(tmp_path / "s", trainings, N)
    assert [state for *_, state, _ in before] == ["COMPLETE", "FAIL", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    trainings.launch = good  # type: ignore[method-assign]
    assert run(tmp_path / "s", trainings, N) == before
    with Study(tmp_path / "s", SEARCH) as study:  # killed between the two halves of asking once more
        study._study.enqueue_trial(before[1][1], user_attrs={"retries": 1})
    after = run(tmp_path / "s", trainings, N, retry_failed=True)
    assert after[:N] == before
    assert [(params, state) for _, params, state, _ in after[N:]] == [(before[n][1], "COMPLETE") for n in (1, 3)]
    assert after[N][-1] == straight[1][-1]
    with Study(tmp_path / "s", SEARCH) as study:
        assert [study.run_dir(study.trial(number)).name for number in (1, 6, 3, 7)] == ["trial-1"] * 2 + ["trial-3"] * 2
        assert (study.count, study.failed()) == (N, [])
    assert run(tmp_path / "s", trainings, N, retry_failed=True) == after
    # and the study goes on as one that was not killed
    for more in (N + 1, N + 3):
        went_on = run(tmp_path / "s", trainings, more)
    assert trainings.trained == [0, 2, 4, 5, 6, 7, 8, 9, 10]
    others = Trainings()
    good, others.launch = others.launch, full_disk  # type: ignore[method-assign]
    run(tmp_path / "t", others, N)
    others.launch = good  # type: ignore[method-assign]
    assert run(tmp_path / "t", others, N + 3, retry_failed=True) == went_on


def test_a_trial_that_is_retried_keeps_its_previews_and_one_finished_since_is_told(tmp_path: Path) -> None:
    trainings = Trainings()

    def bad_node(trials: Sequence[Trial]) -> list[Outcome | None]:
        return [Outcome("failed", reason="no GPU")] * len(trials)

    good, trainings.launch = trainings.launch, bad_node  # type: ignore[method-assign]
    with Study(tmp_path / "s", SEARCH) as study:
        asked = study.ask()
        optuna.Trial(study._study, study._trial_id(0)).report(5.0, 64)
        run_trials(study, 1, 1, trainings.launch, trainings.found)
        assert study.failed() == [asked]
    trainings.values[0] = 3.0  # someone has finished it by hand
    trainings.launch = good  # type: ignore[method-assign]
    (_, (_, _, state, value)) = run(tmp_path / "s", trainings, 1, retry_failed=True)
    assert (state, value, trainings.trained) == ("COMPLETE", 3.0, [])
    with Study(tmp_path / "s", SEARCH) as study:
        assert [trial.intermediate_values for trial in study.trials] == [{64: 5.0}] * 2


def test_steps_are_given_as_they_are_typed(tmp_path: Path) -> None:
    search = replace(SEARCH, space={"x": Steps((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7), 0.1)}, startup=100)
    with Study(tmp_path / "s", search) as study:
        found = {study.ask().values["x"] for _ in range(60)}
    assert found == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}


def test_two_sweeps_at_once_are_refused(tmp_path: Path) -> None:
    with Study(tmp_path / "s", SEARCH), pytest.raises(RunError, match="another process is running the study"):
        Study(tmp_path / "s", SEARCH)


def test_a_file_that_is_no_study_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("not a database " * 100)
    with pytest.raises(RunError, match=r"cannot open the study .*study\.db \(.*: restore it, or choose another"):
        Study(tmp_path, SEARCH)
