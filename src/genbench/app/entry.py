"""A command as a Hydra application: its config composed, its errors told in a line."""

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue
from tqdm import tqdm

from genbench.app.compose import compose_raw, settled
from genbench.app.hints import misspelt, refuse_unknown_choices, refuse_what_hydra_would
from genbench.app.hints_sweeps import (
    refuse_intervals_without_search,
    refuse_jobs_without_sweep,
    refuse_unknown_settings,
)
from genbench.app.own import with_own, without_own
from genbench.app.paths import conf_dir, own_flags
from genbench.app.quoting import gathered, quoted


class JobFailedError(CompactHydraException):
    """One job of a sweep failed; Hydra goes on with the others and reports this one without a traceback."""


class JobStoppedError(JobFailedError):
    """One job of a sweep was stopped from outside, and would go on if it were run again."""


def run(command: str) -> None:
    """Composes `conf/<command>.yaml` with the arguments in `sys.argv` and hands it to the command's `run`.

    The command's module is imported only when it runs, so that `--help` and `--cfg` stay quick.
    """

    started = False
    asked, arguments = _asks_for_config(sys.argv[1:])

    def task(config: DictConfig) -> None:
        nonlocal started
        started = True
        in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        if in_sweep:
            _forget_sweep()
        message = _error(command, settled(command, config, HydraConfig.get()))
        if message is None:
            return
        if not in_sweep:
            print(f"error: {message}", file=sys.stderr)
            raise SystemExit(1)
        job = f"job {HydraConfig.get().job.num} ({HydraConfig.get().job.override_dirname})"
        print(f"error: {job}: {message}", file=sys.stderr)
        raise JobFailedError(f"error: {message}")

    warnings.showwarning = _show_warning
    arguments = without_own(quoted(arguments))
    if command == "sweep":
        arguments = gathered(arguments)
    refuse_unknown_choices(arguments)
    refuse_unknown_settings(arguments)
    refuse_jobs_without_sweep(command, arguments)
    refuse_intervals_without_search(command, arguments)
    refuse_what_hydra_would(command, arguments)
    if asked is not None:
        _show_config(compose_raw(command, arguments[2 if asked.config_dir else 0 :]), asked)
        return
    sys.argv = [sys.argv[0], *with_own(command, arguments)]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(task)()
    except SystemExit as stop:
        hint = misspelt(command, arguments) if stop.code == 1 and not started else None
        if hint is not None:
            print(f"error: {hint}", file=sys.stderr)
        raise


def _asks_for_config(arguments: Sequence[str]) -> tuple[argparse.Namespace | None, list[str]]:
    """What a command line that asks for the job's config asks for, if it does, and what it says beside that.

    Hydra would show the config before recipes are settled; it still does with `--help` and `--cfg all`.
    """
    asked = get_args_parser().parse_args(list(arguments))
    others = (asked.run, asked.multirun, asked.info, asked.help, asked.hydra_help, asked.config_name, asked.config_path)
    if asked.cfg != "job" or any(others):
        return None, list(arguments)
    own = [] if asked.config_dir is None else ["--config-dir", asked.config_dir]
    return asked, [*own, *asked.overrides]


def _show_config(config: DictConfig, asked: argparse.Namespace) -> None:
    """Prints a config, or the package of it that was asked for, as a yaml."""
    package = None if asked.package == "_global_" else asked.package
    shown = config if package is None else OmegaConf.select(config, package)
    if not isinstance(shown, Container):
        if shown is None:
            raise SystemExit(f"error: --package {package}: the config has no such part")
        print(shown)
        return
    header = "" if package is None else f"# @package {package}\n"
    try:
        print(header + OmegaConf.to_yaml(shown, resolve=asked.resolve), end="")
    except InterpolationResolutionError as error:
        raise SystemExit(f"error: {error.full_key}: {error.msg}") from None


def _error(command: str, config: DictConfig) -> str | None:
    """Runs the command; the message of an error that a user can mend."""
    from genbench.core import GenbenchError

    try:
        importlib.import_module(f"genbench.app.commands.{command}").run(config)
    except GenbenchError as error:
        return str(error)
    except MissingMandatoryValue as error:
        return f"{error.full_key} has no value: give {error.full_key}=..."
    except InterpolationResolutionError as error:
        return f"{error.full_key}: {error.msg}"
    return None


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Tells a warning in a line of its own above any progress bar, without the line of code that gave it."""
    place = "" if category is UserWarning else f" ({category.__name__}, {filename}:{lineno})"
    tqdm.write(f"warning: {message}{place}", file=file or sys.stderr)


def _forget_sweep() -> None:
    """Makes `sys.argv` this job's own: processes that Lightning starts for other devices repeat it."""
    sys.argv = [sys.argv[0], *own_flags(sys.argv), *HydraConfig.get().overrides.task]
