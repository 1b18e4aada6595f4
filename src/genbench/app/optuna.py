"""`genbench train -m hydra/sweeper=optuna`: from its command line to the best trial."""

from __future__ import annotations

import logging
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hydra.core.override_parser.types import Override
from pydantic import Field

from genbench.app.paths import own_flags
from genbench.app.searching import make_search
from genbench.app.trials import build_pruner, outcome
from genbench.app.validate import Section, validate
from genbench.core import ConfigError, RunError
from genbench.sweep.search import Outcome, Search, Trial
from genbench.sweep.space import read
from genbench.sweep.storage import require_optuna

if TYPE_CHECKING:
    from genbench.sweep.study import Study

log = logging.getLogger(__name__)

ROOT = Path("runs") / "sweeps"


@dataclass
class Settings(Section):
    """`hydra.sweeper`, without its pruner."""

    study: str | None
    n_trials: Annotated[int, Field(ge=1)]
    n_jobs: Annotated[int, Field(ge=1)]
    objective: str
    direction: Literal["minimize", "maximize"] | None
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    n_startup_trials: Annotated[int, Field(ge=0)]
    retry_failed: bool


def run_study(
    overrides: Sequence[Override],
    settings: Mapping[str, Any],
    launch: Callable[[Study, Sequence[Trial]], Sequence[Outcome | None]],
) -> None:
    """Fills the study of a command line, and prints its best trial.

    Raises:
        GenbenchError: a mistake found before anything trains, another search in the study's folder, or a study none of
            whose trials has a score.
    """
    require_optuna()
    pruner = settings["pruner"]
    given = Settings(**_checked({key: value for key, value in settings.items() if key != "pruner"}))
    if pruner is not None:
        build_pruner(pruner)
    search = make_search(
        *read(overrides), given.objective, given.direction, "hydra.sweeper", given.seed, given.n_startup_trials
    )
    from genbench.sweep.running import SUMMARY, run_trials
    from genbench.sweep.study import Study

    with Study(ROOT / (given.study or f"study-{search.hash}"), search, pruner) as study:
        log.info("study %s: %d of %d trials there", study.folder, study.count, given.n_trials)
        run_trials(
            *(study, given.n_trials, given.n_jobs),
            launch=lambda trials: launch(study, trials),
            found=lambda trial: outcome(study.run_dir(trial), search.objective),
            retry_failed=given.retry_failed,
        )
        _tell(study, search, study.folder / SUMMARY)


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    try:
        validate(settings, Settings)
    except ConfigError as error:
        raise ConfigError(f"hydra.sweeper: {error}") from None
    if settings["study"] is not None and not re.fullmatch(r"\w[\w.-]*", settings["study"]):
        raise ConfigError(f"hydra.sweeper.study={settings['study']} names a folder: use letters, digits, . - and _")
    return settings


def _tell(study: Study, search: Search, summary: Path) -> None:
    from genbench.sweep.study import state_of

    states = Counter(map(state_of, study.trials))
    counted = ", ".join(f"{n} {state}" for state, n in states.items())
    best = study.best
    if best is None:
        raise RunError(f"no trial has a score ({counted}): {summary} says why")
    trial = study.trial(best.number)
    print(
        f"best of {len(study.trials)} trials ({counted}): "
        f"trial {trial.number}, {search.objective} {best.value:.5g}, {study.run_dir(trial)}\n"
        f"  genbench train {shlex.join([*own_flags(sys.argv), *search.overrides(trial.values)])}\n"
        f"{summary}; genbench report runs={study.folder}"
    )
