"""A command's config without its command line."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from genbench.app.own import with_own
from genbench.app.paths import conf_dir, own_flags, user_dir
from genbench.app.quoting import quote
from genbench.app.recipes import settle


def compose(command: str, overrides: Sequence[str] = ()) -> DictConfig:
    """The config that `genbench <command> <overrides>` would run with; inside a running command too.

    Raises:
        ConfigError: an unknown key or choice.
    """
    try:
        return compose_raw(command, overrides)
    except HydraException as error:
        from genbench.app.hints import explained  # which composes too
        from genbench.core import ConfigError  # here because it brings torch

        raise ConfigError(explained(command, [*own_flags(sys.argv), *overrides], error)) from error


def compose_raw(command: str, overrides: Sequence[str] = ()) -> DictConfig:
    """As `compose`, with Hydra's own errors."""
    config = _composed(command, overrides)
    settled(command, config, config.hydra)
    return _without_hydra(config)


def compose_unsettled(command: str, overrides: Sequence[str] = ()) -> DictConfig:
    """As `compose_raw`, with what recipes set for other choices: to see whether there is a config at all."""
    return _without_hydra(_composed(command, overrides))


def _without_hydra(config: DictConfig) -> DictConfig:
    with open_dict(config):
        del config["hydra"]
    return config


def settled(command: str, config: DictConfig, about: Any) -> DictConfig:
    """A config as Hydra composed it once its recipes are settled; `about` is Hydra's node."""
    # as typed: interpolations in overrides are the config's
    typed = [str(each) for each in OmegaConf.to_container(about.overrides.task)]  # type: ignore[union-attr]
    settle(config, dict(about.runtime.choices), typed, partial(_with_choices, command))
    return config


def choices(command: str, overrides: Sequence[str]) -> Mapping[str, str | None]:
    """What a command line chooses of every group, Hydra's own too, with Hydra's own errors."""
    return _with_choices(command, overrides)[1]


def _with_choices(command: str, overrides: Sequence[str]) -> tuple[DictConfig, Mapping[str, str | None]]:
    config = _composed(command, overrides)
    return config, dict(config.hydra.runtime.choices)


def _composed(command: str, overrides: Sequence[str]) -> DictConfig:
    """What Hydra composes, its own node included."""
    own = user_dir(sys.argv)
    search = [] if own is None else [f"hydra.searchpath=[{quote(f'file://{own}')}]"]
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return hydra.compose(command, [*search, *with_own(command, overrides)], return_hydra_config=True)
    finally:
        GlobalHydra.instance().hydra = running
