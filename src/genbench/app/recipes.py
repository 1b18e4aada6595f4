"""Recipes (`model=`, `experiment=`): what they set inside a group holds for the choices they come with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

RECIPES = ("model", "experiment")
"""The groups whose choices set values of other groups."""

Choices = Mapping[str, str | None]
"""The choice of every group."""

Compose = Callable[[Sequence[str]], tuple[DictConfig, Choices]]
"""Composes a command's config from overrides."""


def settle(config: DictConfig, choices: Choices, overrides: Sequence[str], compose: Compose) -> None:
    """Gives every group of which the command line took another choice than its recipes come with that choice's values.

    A uniform density has no mean, and a learning rate for Muon is none for AdamW. Values that `overrides`, the command
    line, give stay. Changes the config, which Hydra composed, in place.
    """
    given = OverridesParser.create().parse_overrides(list(overrides))
    chosen = [each for each in given if _chooses(each, choices)]
    recipes = [str(each.input_line) for each in chosen if each.key_or_group in RECIPES]
    if RECIPES[0] not in choices or len(recipes) == len(chosen):
        return
    _, theirs = compose(recipes)
    changed = [group for group, choice in choices.items() if theirs.get(group, choice) != choice]
    if not changed:
        return
    usual, _ = compose([f"~{group}" for group in RECIPES] + list(_as_overrides(choices)))
    values = [each for each in given if each not in chosen]
    for group in changed:
        instead = OmegaConf.create({group: OmegaConf.to_container(usual)[group]})  # type: ignore[index, call-overload]
        for key in (key for each in values for key in _keys(each) if key.startswith(f"{group}.")):
            _carry_over(key, config, instead)
        with open_dict(config):
            config[group] = instead[group]


def _chooses(override: Override, choices: Choices) -> bool:
    """Whether it chooses of a group, as opposed to giving a value."""
    return override.key_or_group in choices and not isinstance(override.value(), dict)


def _as_overrides(choices: Choices) -> Iterator[str]:
    """The command line that makes these choices of the groups that are not recipes or Hydra's own."""
    for group, choice in choices.items():
        if group not in RECIPES and group.partition("/")[0] != "hydra":
            yield f"~{group}" if choice is None else f"{group}={choice}"


def _keys(override: Override) -> Iterator[str]:
    """The dotted keys of the values that an override gives."""

    def leaves(value: Any, key: str) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from leaves(inner, f"{key}.{name}")
        else:
            yield key

    return leaves(override.value(), override.key_or_group)


def _carry_over(key: str, source: DictConfig, target: DictConfig) -> None:
    """Gives a config another's value of a key, or takes it away where the other has none."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(source, parent)
    if isinstance(node, DictConfig) and name in node:
        value = OmegaConf.to_container(node)[name]  # type: ignore[index, call-overload]
        OmegaConf.update(target, key, value, merge=False, force_add=True)
    elif isinstance(there := OmegaConf.select(target, parent), DictConfig):
        there.pop(name, None)
