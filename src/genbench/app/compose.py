"""A command's config without its command line."""

import sys
from collections.abc import Sequence
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from genbench.app.own import with_own
from genbench.app.paths import conf_dir, user_dir
from genbench.app.recipes import settle


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
            config = hydra.compose(command, [*search, *with_own(command, overrides)], return_hydra_config=True)
    finally:
        GlobalHydra.instance().hydra = running
    settled(command, config, config.hydra)
    with open_dict(config):
        del config["hydra"]
    return config


def settled(command: str, config: DictConfig, about: Any) -> DictConfig:
    """A config that Hydra composed, with the recipes' values of other choices taken out; `about` is Hydra's node."""
    # as typed: interpolations in them are the config's
    choices, given = (OmegaConf.to_container(node) for node in (about.runtime.choices, about.overrides.task))
    settle(config, command, choices, given, compose_raw)  # type: ignore[arg-type]
    return config
