"""Recipes (`model=`, `experiment=`): what they set inside a group holds for the choices they come with."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

MODEL, EXPERIMENT = "model", "experiment"
"""The groups whose choices are recipes: they set values of other groups, the second over the first."""

Choices = Mapping[str, str | None]
"""The choice of every group."""

Compose = Callable[[Sequence[str]], tuple[DictConfig, Choices]]
"""Composes a command's config from overrides."""


def settle(config: DictConfig, choices: Choices, overrides: Sequence[str], compose: Compose) -> None:
    """Gives every group of which the command line took another choice than its recipes come with that choice's values.

    A uniform density has no mean, and a learning rate for Muon is none for AdamW. Values that `overrides`, the command
    line, give stay. Changes the config, which Hydra composed, in place.
    """
    if MODEL not in choices:
        return
    given = OverridesParser.create().parse_overrides(list(overrides))
    chosen = {str(each.key_or_group): str(each.input_line) for each in given if _chooses(each, choices)}
    values = [key for each in given if not _chooses(each, choices) for key in _keys(each)]
    recipes = {group: line for group, line in chosen.items() if group in (MODEL, EXPERIMENT)}
    if not chosen:
        return

    def usual(*recipe: str) -> DictConfig:
        within = [line for group, line in chosen.items() if "/" in group and not group.startswith("hydra/")]
        return compose([*recipe, *_as_overrides(choices, compose([])[1]), *within])[0]

    if len(recipes) == 2 and MODEL in (changed := _changed(compose([recipes[EXPERIMENT]])[1], choices)):
        # another model than the experiment's, which comes with choices of its own
        _replace(config, changed, usual(recipes[MODEL], f"~{EXPERIMENT}"), values)
    if len(recipes) < len(chosen) and (changed := _changed(compose(list(recipes.values()))[1], choices)):
        _replace(config, changed, usual(f"~{MODEL}", f"~{EXPERIMENT}"), values)


def _changed(theirs: Choices, choices: Choices) -> list[str]:
    """The groups of which another choice was taken, by the names of their nodes; Hydra's own are none of them."""
    found = (group.partition("/")[0] for group, choice in choices.items() if theirs.get(group, choice) != choice)
    return list(dict.fromkeys(group for group in found if group != "hydra"))


def _chooses(override: Override, choices: Choices) -> bool:
    """Whether it chooses of a group, as opposed to giving a value."""
    return override.key_or_group in choices and not isinstance(override.value(), dict)


def _as_overrides(choices: Choices, known: Container[str]) -> Iterator[str]:
    """The command line that makes these choices of all groups but recipes, Hydra's own and groups within groups."""
    for group, choice in choices.items():
        if group not in (MODEL, EXPERIMENT, "hydra") and "/" not in group:
            missing = "" if group in known else "+"
            yield f"~{group}" if choice is None else f"{missing}{group}={choice}"


def _keys(override: Override) -> Iterator[str]:
    """The dotted keys of the values that an override gives."""

    def leaves(value: Any, key: str) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from leaves(inner, f"{key}.{name}")
        else:
            yield key

    return leaves(override.value(), override.key_or_group)


def _replace(config: DictConfig, groups: Sequence[str], usual: DictConfig, values: Sequence[str]) -> None:
    """Gives groups the nodes of another config, but for the values of these keys."""
    nodes = OmegaConf.to_container(usual)
    assert isinstance(nodes, dict)
    for group in groups:
        if group not in nodes:  # its choices set values elsewhere
            continue
        instead = OmegaConf.create({group: nodes[group]})
        for key in values:
            if key.startswith(f"{group}."):
                _carry_over(key, config, instead)
        with open_dict(config):
            config[group] = instead[group]


def _carry_over(key: str, source: DictConfig, target: DictConfig) -> None:
    """Gives a config another's value of a key, or takes it away where the other has none; lists are taken whole."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(source, parent)
    if isinstance(node, ListConfig):
        _carry_over(parent, source, target)
        return
    plain = OmegaConf.to_container(node) if isinstance(node, DictConfig) else {}
    assert isinstance(plain, dict)
    if name in plain:
        OmegaConf.update(target, key, plain[name], merge=False, force_add=True)
    elif isinstance(there := OmegaConf.select(target, parent), DictConfig):
        there.pop(name, None)
