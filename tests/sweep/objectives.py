"""Trainings that cost nothing: an objective in closed form, and what it leaves behind."""

from collections.abc import Callable, Sequence
from pathlib import Path

from genbench.sweep.running import run_trials
from genbench.sweep.search import Outcome, Search, Trial
from genbench.sweep.space import Choice, Interval
from genbench.sweep.study import Study

SEARCH = Search(("model=vae",), {"x": Interval(-3.0, 3.0), "w": Choice((1, 2))}, "fd", "minimize", seed=7, startup=3)


def value(trial: Trial) -> float:
    x, w = trial.values["x"], trial.values["w"]
    assert isinstance(x, float)
    assert isinstance(w, int)
    return (x - 1.0) ** 2 + w


class Trainings:
    """Launches trials one after another, each leaving its value under its home's number; counts them.

    `before` is called with a trial that is about to be trained, `after` with one that is.
    """

    def __init__(self) -> None:
        self.values: dict[int, float] = {}
        self.trained: list[int] = []
        self.before: Callable[[Trial], None] = lambda trial: None
        self.after: Callable[[Trial], None] = lambda trial: None

    def launch(self, trials: Sequence[Trial]) -> list[Outcome | None]:
        for trial in trials:
            self.before(trial)
            self.trained.append(trial.number)
            self.values[trial.home] = value(trial)
            self.after(trial)
        return [None] * len(trials)

    def found(self, trial: Trial) -> Outcome | None:
        return Outcome("complete", self.values[trial.home]) if trial.home in self.values else None


def run(
    folder: Path,
    trainings: Trainings,
    n_trials: int,
    n_jobs: int = 1,
    search: Search = SEARCH,
    retry_failed: bool = False,
) -> list[tuple]:
    """Runs a study; every trial's number, values, state and score."""
    with Study(folder, search) as study:
        run_trials(study, n_trials, n_jobs, trainings.launch, trainings.found, retry_failed)
        return [(t.number, t.params, t.state.name, t.value) for t in study.trials]
