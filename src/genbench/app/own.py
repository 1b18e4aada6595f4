"""A run's own choices as the start of commands that read it: `own` is a choice of its groups."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from genbench.app.paths import conf_dirs

OWN = "own"
JUDGED_BY = ("protocol", "features")
GROUPS = (*JUDGED_BY, "sampler", "data")


def without_own(arguments: Sequence[str]) -> list[str]:
    """A command line without what was put before it: a job of a sweep, a command of its own, finds that itself."""
    put = {f"{group}={OWN}" for group in GROUPS}
    return [argument for argument in arguments if argument not in put]


def with_own(command: str, arguments: Sequence[str]) -> list[str]:
    """A command line with what `run=FOLDER` brings put before it, where nothing else is chosen.

    That is `sampler=own` where single values of a sampler are given, and for `evaluate` the run's protocol, with its
    metrics, and features, and `data=own` where single values of the data are given, such as the place they lie at now.
    Of several runs in a sweep only what they agree on.
    """
    arguments = without_own(arguments)
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    configs = [_config(folder) for folder in given.get("run", "").split(",") if folder]
    judged_by = () if command != "evaluate" else JUDGED_BY
    # conventions of one extractor are compared over that extractor
    wanted = [group for group in judged_by if (group, given.get("protocol")) != ("features", "crosswalk")]
    changed = ("sampler", "data") if command == "evaluate" else ("sampler",)
    wanted += [group for group in changed if any(key.startswith(f"{group}.") for key in given)]
    found = []
    for group in wanted:
        if not configs or group in given or any(config.get(group) is None for config in configs):
            continue
        first, *others = (_brought(group, config, "metric" in given) for config in configs)
        if all(other == first for other in others):
            ConfigStore.instance().store(OWN, first, group, package="_global_")
            found.append(f"{group}={OWN}")
    return [*found, *arguments]


def _config(folder: str) -> Mapping[str, Any]:
    """What a run folder's config says; nothing where there is none, which the command itself will tell."""
    try:
        config = OmegaConf.load(Path(folder.strip("'\"")) / "config.yaml")
    except (OSError, ValueError):
        return {}
    found = OmegaConf.to_container(config)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def _brought(group: str, config: Mapping[str, Any], metrics_chosen: bool) -> dict[str, Any]:
    """A choice of the group as a yaml of `conf/` would hold it."""
    brought: dict[str, Any] = {group: config[group]}
    metrics: Mapping[str, Any] = config.get("metric") or {}
    if group == "protocol" and metrics:
        # by name too, so that metric=[...] replaces them
        brought["defaults"] = [{"/metric@metric": list(metrics)}, "_self_"]
        if not metrics_chosen:
            brought["metric"] = {name: _chosen(name, node) for name, node in metrics.items()}
    return brought


def _chosen(name: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """What of a metric's config does not follow from the protocol, so that this may still be changed."""
    yamls = [folder / "metric" / f"{name}.yaml" for folder in conf_dirs(sys.argv)]
    usual = next((OmegaConf.select(OmegaConf.load(yaml), name) for yaml in yamls if yaml.is_file()), OmegaConf.create())
    return {key: value for key, value in node.items() if not OmegaConf.is_interpolation(usual, key)}
