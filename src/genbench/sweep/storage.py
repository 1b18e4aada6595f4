"""Where a study lies: a SQLite file in its folder, which the sweep and its trials open."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.core import ConfigError, RunError
from genbench.core.errors import first_line

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

FILE = "study.db"
PATIENCE = 60.0
"""Seconds that one process may keep another waiting."""


def require_optuna() -> None:
    """Checks that what studies need is installed.

    Raises:
        ConfigError: it is not.
    """
    if find_spec("optuna") is None:
        raise ConfigError("hydra/sweeper=optuna needs Optuna: pip install 'genbench[sweeps]'")


def open_storage(folder: Path) -> RDBStorage:
    """The storage of a study's folder, made if there is none.

    Raises:
        ConfigError: Optuna is not installed.
        RunError: the file cannot be read or written.
    """
    require_optuna()
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = (folder / FILE).absolute()
    try:
        return optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": PATIENCE}})
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise RunError(
            f"cannot open the study {path} ({first_line(error)}): restore it, or choose another hydra.sweeper.study"
        ) from error
