"""Recipes (`model=`, `experiment=`): what they set inside a group holds for the choice it was written for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import Container, DictConfig, OmegaConf, open_dict

from genbench.app.listing import groups
from genbench.app.paths import conf_dir, conf_dirs

MODEL, EXPERIMENT = RECIPES = ("model", "experiment")
"""The groups whose choices set values of other groups, the second over the first."""

Choices = Mapping[str, str | None]
"""The choice of every group."""


class Recipe(NamedTuple):
    """What a recipe sets, and the choices in force where it is written."""

    values: Mapping[str, Any]
    choices: Choices


class Yaml(NamedTuple):
    """A file of `conf/`: the files of its own group that it extends, the choices it makes, the values it sets."""

    extends: Sequence[str]
    choices: Choices
    values: Mapping[str, Any]


def settle(
    config: DictConfig, command: str, choices: Choices, given: Sequence[str], alone: Callable[[str], DictConfig]
) -> None:
    """Takes out of a composed config what its recipes set inside a group of which another choice was taken since.

    A uniform density has no mean, and a learning rate for Muon is none for AdamW. What Hydra's overrides (`given`) say
    stays. `alone` composes one choice, such as `times/uniform`, by itself.
    """
    recipes = list(_recipes(command, choices))
    named = [key for key in (override.lstrip("+~").partition("=")[0] for override in given) if key not in choices]
    for group, choice in choices.items():
        setting = [recipe for recipe in recipes if isinstance(recipe.values.get(group), dict)]
        stale = [recipe.values[group] for recipe in setting if recipe.choices.get(group) != choice]
        if not stale:
            continue
        # a recipe's own node is among what is kept
        usual = OmegaConf.create() if group in RECIPES else alone(f"{group}/{choice}")
        kept = [{group: recipe.values[group]} for recipe in setting if recipe.choices.get(group) == choice]
        wanted = OmegaConf.merge(usual, *kept)
        with open_dict(config):
            for key in dict.fromkeys(chain.from_iterable(_leaves(node, group) for node in stale)):
                if not any(_within(key, name) or _within(name, key) for name in named):
                    _put(config, key, wanted)
            if OmegaConf.select(wanted, group) is None and not config[group]:
                config[group] = None


def _recipes(command: str, choices: Choices) -> Iterator[Recipe]:
    """The recipes of a composition in the order in which they set values."""
    model = choices.get(MODEL)
    if model is None:
        return
    usual = _read(conf_dir() / f"{command}.yaml").choices
    experiments = _files(EXPERIMENT, choices.get(EXPERIMENT))
    theirs = next((yaml.choices[MODEL] for yaml in reversed(experiments) if MODEL in yaml.choices), model)
    below = {**usual, MODEL: theirs}
    for yaml in _files(MODEL, theirs):
        below |= yaml.choices
    yield from _written(_files(MODEL, model), {**usual, MODEL: model})
    yield from _written(experiments, below)


def _written(yamls: Sequence[Yaml], below: Choices) -> Iterator[Recipe]:
    for yaml in yamls:
        below = {**below, **yaml.choices}
        yield Recipe(yaml.values, below)


def _files(group: str, name: str | None) -> list[Yaml]:
    """A choice's file, after those that it extends."""
    path = groups(conf_dirs(sys.argv)).get(group, {}).get(name or "")
    if path is None:
        return []
    yaml = _read(path)
    return [*chain.from_iterable(_files(group, base) for base in yaml.extends), yaml]


def _read(path: Path) -> Yaml:
    content = OmegaConf.to_container(OmegaConf.load(path))
    values = {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}
    extends, choices = [], {}
    for entry in values.pop("defaults", []):
        if isinstance(entry, dict):
            ((group, choice),) = entry.items()
            choices[group.removeprefix("override ").lstrip("/")] = choice
        elif entry != "_self_":
            extends.append(entry)
    return Yaml(extends, choices, values)


def _leaves(node: Mapping[str, Any], path: str) -> Iterator[str]:
    """The dotted keys of all that is no mapping."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}.{key}")
        else:
            yield f"{path}.{key}"


def _within(key: str, other: str) -> bool:
    return key == other or key.startswith(f"{other}.")


def _put(config: DictConfig, key: str, wanted: Container) -> None:
    """Gives one key of a config the value that it is wanted to have, or takes it away."""
    parent, _, name = key.rpartition(".")
    node, there = OmegaConf.select(config, parent), OmegaConf.select(wanted, parent)
    if isinstance(there, DictConfig) and name in there:
        node[name] = OmegaConf.to_container(there)[name]  # type: ignore[index, call-overload]
    elif isinstance(node, DictConfig):
        node.pop(name, None)
