"""Weights that a training starts from: a finished run's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genbench.app.build import load_weights
from genbench.app.rules import built_by, choice
from genbench.core import ConfigError, GenbenchError, GenerativeModel
from genbench.features.files import sha256_of
from genbench.identity import alike
from genbench.run import Run

ARCHITECTURE = ("backbone", "scheduler", "objective", "first_stage", "text_encoder")
"""The groups that say what a network's weights mean."""
CONDITION = ("conditional", "label_dropout")
"""The model's own settings that do so too."""


def settle_start(config: DictConfig) -> None:
    """Fills in the absolute path of the run to start from and the sha256 of its weights, by which it is known.

    Raises:
        ConfigError: the run is missing or unfinished, or its weights are not those that the config names.
    """
    if config.start is None:
        return
    config.start = str(Path(config.start).expanduser().absolute())
    with _named(config.start):
        run = Run.open(config.start)
        run.summary  # noqa: B018  raises unless training is finished
        found = sha256_of(run.weights_of("ema"))
        if config.start_sha256 not in (None, found):
            raise ConfigError(f"its weights have sha256 {found}, not start_sha256={config.start_sha256}: drop that")
        config.start_sha256 = found


def start_from(model: GenerativeModel, config: Mapping[str, Any]) -> None:
    """Fills a model with the judged weights of the run that the resolved config starts from.

    Raises:
        ConfigError: the run is missing, unfinished, or of other images or another architecture.
    """
    if config["start"] is None:
        return
    with _named(config["start"]):
        run = Run.open(config["start"])
        _check_same(run.config, config)
        load_weights(model, run.weights_of("ema"))


@contextmanager
def _named(start: str) -> Iterator[None]:
    """Errors of the run to start from, told as such."""
    try:
        yield
    except GenbenchError as error:
        raise ConfigError(f"start={start} cannot be used: {error}") from error


def _check_same(there: DictConfig, here: Mapping[str, Any]) -> None:
    images, ours = there.data.spec, here["data"]["spec"]
    if any(images[key] != ours[key] for key in ("channels", "height", "width", "num_classes")):
        raise ConfigError(
            f"it was trained on images of {_size(images)}, but the data have {_size(ours)}: use its data, "
            f"data={choice('data', there.data)}"
        )
    theirs, own = built_by(there.model), built_by(here["model"])
    if theirs is None or own is None or not (issubclass(own, theirs) or issubclass(theirs, own)):
        raise ConfigError(
            f"it holds a model={choice('model', there.model)}, which is of another family: use that model"
        )
    fixes = [fix for group in ARCHITECTURE for fix in _fixes(group, there.get(group), here.get(group))]
    fixes += _changed("model", {key: there.model.get(key) for key in CONDITION}, here["model"])
    if fixes:
        raise ConfigError(f"it was trained with another architecture: use {' '.join(fixes)}")


def _fixes(group: str, there: Mapping[str, Any] | None, here: Mapping[str, Any] | None) -> list[str]:
    """What to type for a part to be the run's."""
    if there is None or here is None:
        return [] if there is here else [f"{group}={'none' if there is None else choice(group, there)}"]
    if alike(group, there, here):
        return []
    if there["_target_"] != here["_target_"]:
        return [f"{group}={choice(group, there)}"]
    return _changed(group, there, here)


def _changed(path: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    changed = [key for key in there if there[key] != here.get(key)]
    return [f"{path}.{key}={there[key]}".replace(" ", "") for key in changed]


def _size(spec: Mapping[str, Any]) -> str:
    return f"{spec['channels']}x{spec['height']}x{spec['width']} and {spec['num_classes']} classes"
