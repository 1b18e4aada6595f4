"""A command's config without its command line."""

import sys
from collections.abc import Sequence

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig

from genbench.app.own import with_own
from genbench.app.paths import conf_dir, user_dir


def compose(command: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The config that `genbench <command> <overrides>` would run with; inside a running command too.

    Raises:
        ConfigError: an unknown key or choice.
    """
    try:
        return compose_raw(command, overrides)
    except HydraException as error:
        from genbench.core import ConfigError  # here because it brings torch

        raise ConfigError(" ".join(str(error).split())) from error


def compose_raw(command: str, overrides: Sequence[str] = ()) -> DictConfig:
    """As `compose`, with Hydra's own errors."""
    own = user_dir(sys.argv)
    search = [] if own is None else [f"hydra.searchpath=['file://{own}']"]
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return hydra.compose(command, [*search, *with_own(command, overrides)])
    finally:
        GlobalHydra.instance().hydra = running
