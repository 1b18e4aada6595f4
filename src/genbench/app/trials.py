"""A study's trials: what their trainings are given, and what their run folders say became of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from genbench.app.build import build
from genbench.app.judged import judged_under
from genbench.app.judging import read_result
from genbench.core import ConfigError
from genbench.run import Run
from genbench.sweep.search import Outcome, Trial
from genbench.sweep.trial import TrialReport

if TYPE_CHECKING:
    from genbench.sweep.study import Study

log = logging.getLogger(__name__)


def job(study: Study, trial: Trial) -> list[str]:
    """What the training of a trial is given."""
    own = f"trial={{study:{study.folder},number:{trial.number}}}"
    return [*study.search.overrides(trial.values), f"run_dir={study.run_dir(trial)}", "judge=true", own]


def report_of(trial: Mapping[str, Any]) -> TrialReport:
    """Whom the previews of a trial are told."""
    return TrialReport(Path(trial["study"]), trial["number"], build_pruner)


def build_pruner(node: Mapping[str, Any]) -> Any:
    """The pruner of a config.

    Raises:
        ConfigError: it describes something else.
    """
    from optuna.pruners import BasePruner

    from genbench.app.rules import built_by

    built = built_by(node)
    if built is None or not issubclass(built, BasePruner):
        raise ConfigError(f"hydra.sweeper.pruner._target_={node.get('_target_')} is no pruner of Optuna's")
    return build(node)


def outcome(folder: Path, objective: str) -> Outcome | None:
    """What a trial's run folder says became of it, once no process is training in it; None if it is not judged."""
    if not (folder / "manifest.json").is_file():
        return None
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("a job of a sweep that was killed still trains in %s: waiting for it", folder)
        lock.acquire()
    lock.release()
    run = Run.open(folder)
    protocol = judged_under(run) if run.finished else None
    if protocol is None:
        return None
    value = read_result(run.result_path(protocol)).get(objective)
    if value is None or not math.isfinite(value):
        return Outcome("failed", reason=f"its {objective} is {value}")
    return Outcome("complete", float(value))
