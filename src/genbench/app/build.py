"""From config to objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from genbench.app.rules import check_rules
from genbench.app.validate import validate_run
from genbench.core import ConfigError, GenbenchError, GenerativeModel, RunError
from genbench.core.files import write_atomically
from genbench.data.dataset import ImageDataset
from genbench.families.diffusion import Diffusion
from genbench.identity import alike
from genbench.run import Run, Weights
from genbench.training.snapshots import put_together


def build(node: Any) -> Any:
    """What a config node describes.

    Raises:
        GenbenchError: the constructor's own, without Hydra's wrapping; a ConfigError for any other failure.
    """
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause: BaseException = error
        while cause.__cause__ is not None and not isinstance(cause, GenbenchError):
            cause = cause.__cause__
        if isinstance(cause, GenbenchError):
            raise cause from None
        raise ConfigError(f"{node['_target_']} cannot be built from its config: {cause}") from error


def resolve(config: DictConfig) -> dict[str, Any]:
    """The config as plain containers, all interpolations filled in."""
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def open_data(config: DictConfig) -> tuple[ImageDataset, dict[str, Any]]:
    """The dataset of a checked config, and the config with the facts read from it filled in.

    Raises:
        ConfigError: values of the wrong type, or choices that do not go together.
        DataError: data that cannot be read or differ from what the config says.
    """
    plain = resolve(config)
    check_rules(plain)
    validate_run(plain)
    dataset: ImageDataset = build(plain["data"])
    with open_dict(config):
        config.data.spec = {"_target_": "genbench.core.ImageSpec", **asdict(dataset.spec)}
    plain = resolve(config)
    check_rules(plain)
    return dataset, plain


def load_model(
    run: Run,
    sampler: dict[str, Any] | None = None,
    weights: Weights = "ema",
    likelihood: dict[str, Any] | None = None,
) -> GenerativeModel:
    """A finished run's model with the weights asked for, in evaluation mode; `sampler`, `likelihood` replace its own.

    Raises:
        RunError: training is not finished, or the weights are missing, corrupt or another model's.
        ConfigError: a sampler or likelihood the model cannot use, or an average the run has no snapshots for.
    """
    config = resolve(run.config)
    instead = {"sampler": sampler, "likelihood": likelihood}
    given = {group: node for group, node in instead.items() if node is not None}
    if given:
        check_rules(config | given)
        config["model"] |= given
    validate_run(config)
    run.summary  # noqa: B018  raises unless training is finished
    model: GenerativeModel = build(config["model"])
    if not isinstance(weights, str):
        put_together_once(run, weights)
    load_weights(model, run.weights_of(weights))
    attach_guide(model, config)
    return model.eval()


def put_together_once(run: Run, length: float) -> None:
    """Writes the run's average of a relative length beside its snapshots, unless it is there.

    Raises:
        ConfigError: no snapshots, or too few for this length.
    """
    path = run.weights_of(length)
    if not path.is_file():
        averaged = put_together(run.averages, length)
        write_atomically(path, save({**load_file(run.weights_of("raw")), **averaged}))


UNGUIDED = {"guidance": 1.0, "guidance_rescale": 0.0, "guidance_interval": None, "guidance_run": None}


def attach_guide(model: GenerativeModel, config: Mapping[str, Any]) -> None:
    """Gives a diffusion model the worse run that its sampler names, if it names one.

    Raises:
        ConfigError: a run that cannot be loaded, or that was trained with another schedule, objective or first stage.
    """
    node = config["model"].get("sampler") or {}
    path = node.get("guidance_run")
    if path is None or not isinstance(model, Diffusion):
        return
    try:
        source = Run.open(path)
        worse = load_model(source, node | UNGUIDED)
    except GenbenchError as error:
        raise ConfigError(f"sampler.guidance_run={path} cannot be used: {error}") from error
    theirs = resolve(source.config)["model"]
    for part in ("_target_", "schedule", "objective", "first_stage"):
        if not alike(part, theirs.get(part), config["model"].get(part)):
            raise ConfigError(
                f"sampler.guidance_run={path} has another {part.strip('_')} than this model: its predictions cannot "
                "be mixed with this one's; give a run of the same, trained shorter or smaller"
            )
    assert isinstance(worse, Diffusion)
    model.guide_by(worse)


def load_weights(model: GenerativeModel, path: Path) -> None:
    """Fills a model from a safetensors file.

    Raises:
        RunError: the file is missing, corrupt, or belongs to another model.
    """
    if not path.is_file():
        raise RunError(f"no weights at {path}: the run folder is missing pieces; train it again in another run_dir")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise RunError(f"cannot read the weights {path}: {error}") from error
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise RunError(
            f"the weights in {path} belong to another model than config.yaml describes ({first[:200]}): "
            "restore the run's own config.yaml and weights.safetensors"
        ) from error
