"""`genbench import diffusers`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genbench.app.build import build, resolve
from genbench.app.manifest import manifest
from genbench.app.pipelines import Pipeline
from genbench.app.validate import validate_config, validate_run
from genbench.core import ConfigError
from genbench.data.dataset import ImageDataset
from genbench.families.diffusion import Diffusion
from genbench.features.files import sha256_of
from genbench.run import TRAIN, Run


def run(config: DictConfig) -> None:
    """Makes a run folder of a pipeline's folder, to be sampled and judged like any other; its training is unknown."""
    plain = resolve(config)
    validate_config(plain, "import_diffusers")
    if plain["data"] is None:
        raise ConfigError("a model is judged against data: give data=..., such as data=cifar10")
    folder = Path(plain["folder"]).expanduser().absolute()
    pipeline, dataset = Pipeline(folder), build(plain["data"])
    out = Path(plain["run_dir"] or Path("runs") / dataset.name / folder.name)
    if out.exists():
        raise ConfigError(f"{out} is there already: name another folder with run_dir=..., or remove it")

    described = _described(plain, pipeline, dataset, folder.name)
    model: Diffusion = build(described["model"])
    model.backbone.unet.load_state_dict(pipeline.unet.state_dict())  # type: ignore[union-attr]
    model.label.table.weight.data.zero_()  # there is nothing to condition on
    weights = {name: value.detach() for name, value in model.state_dict().items()}
    imported = {"folder": str(folder), "sha256": sha256_of(pipeline.weights)}
    summary = {
        **dict.fromkeys(("images", "seconds", "images_per_second", "selected")),
        "params": sum(value.numel() for value in pipeline.unet.parameters()),
        "imported": imported,
    }
    made = Run.create(out, described, manifest(0, dataset.name, {TRAIN: dataset.table("train").fingerprint()}))
    made.finish(weights, weights, summary)
    print(f"{out}: {summary['params']} parameters, trained elsewhere\nnext: genbench evaluate run={out}")


def _described(plain: dict[str, Any], pipeline: Pipeline, dataset: ImageDataset, name: str) -> dict[str, Any]:
    """The config of the run: the model and what it is judged against, and nothing of its training."""
    spec = {"_target_": "genbench.core.ImageSpec", **asdict(dataset.spec)}
    parts = pipeline.parts(dataset.spec)
    described = {"name": name, "seed": 0, **parts, "data": {**plain["data"], "spec": spec}}
    described["model"] = {**parts["model"], "spec": spec}
    validate_run(described)
    return described
