"""`hydra/sweeper=optuna`: the jobs of a sweep as trials that Optuna suggests.

Hydra takes sweepers from this namespace only.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from genbench.app.cli import COMMAND_VARIABLE
from genbench.app.entry import JobStoppedError

if TYPE_CHECKING:
    from genbench.sweep.search import Outcome, Trial
    from genbench.sweep.study import Study


log = logging.getLogger("genbench.sweep")


class OptunaSweeper(Sweeper):
    """Asks a study for trials and hands them to whatever launcher there is."""

    config: DictConfig
    hydra_context: HydraContext
    task_function: TaskFunction

    def __init__(self, **settings: Any) -> None:
        self.settings = {k: OmegaConf.to_container(v) if OmegaConf.is_config(v) else v for k, v in settings.items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        from genbench.app.optuna import run_study
        from genbench.core import GenbenchError

        overrides = OverridesParser.create(self.hydra_context.config_loader).parse_overrides(arguments)
        try:
            if os.environ[COMMAND_VARIABLE] != "train":
                raise GenbenchError("hydra/sweeper=optuna searches among trainings: use it with `genbench train`")
            run_study(overrides, self.settings, self.launch)
        except GenbenchError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(1) from error

    def launch(self, study: Study, trials: Sequence[Trial]) -> list[Outcome | None]:
        """Runs trials by the launcher, as jobs of their numbers, output in the study's folder; how each fell short."""
        from genbench.app.trials import job

        launcher = self._launcher(study.folder)
        own = [f"hydra.sweep.dir={study.folder}", "hydra.sweep.subdir=."]
        jobs = [[*own, *job(study, trial)] for trial in trials]
        if trials[-1].number - trials[0].number == len(trials) - 1:
            returned = list(launcher.launch(jobs, trials[0].number))
        else:  # a launcher counts on from a number
            returned = [each for job, t in zip(jobs, trials, strict=True) for each in launcher.launch([job], t.number)]
        return [_failure(each) for each in returned]

    def _launcher(self, folder: Path) -> Launcher:
        config = self.config.copy()
        with read_write(config), open_dict(config):
            config.hydra.sweep.dir = str(folder)
        return Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=config
        )


def _failure(job: JobReturn) -> Outcome | None:
    """Why a job failed, or was stopped; None if it did not."""
    from genbench.sweep.search import Outcome

    try:
        with redirect_stderr(StringIO()):  # Hydra repeats the overrides
            job.return_value  # noqa: B018  raises what the job raised
    except Exception as error:
        if not isinstance(error, CompactHydraException):
            log.error("not foreseen:", exc_info=error)
        reason = str(error).removeprefix("error: ") or type(error).__name__
        return Outcome("stopped" if isinstance(error, JobStoppedError) else "failed", reason=reason)
    return None
