"""`genbench reference export`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genbench.app.build import build, resolve
from genbench.app.device import pick_device
from genbench.app.paths import cache_dir
from genbench.app.validate import validate_config
from genbench.core import ConfigError
from genbench.data.dataset import ImageDataset
from genbench.evaluation import Reference
from genbench.evaluation.sources import TableSource


def run(config: DictConfig) -> None:
    """Writes the moments of a split's features; a file that is there is not overwritten."""
    plain = resolve(config)
    validate_config(plain, "reference_export")
    if plain["data"] is None:
        raise ConfigError("a reference is made of a dataset's split: give data=..., such as data=digits")
    out = Path(plain["out"])
    if out.exists():
        raise ConfigError(f"{out} is there already: name another file with out=..., or remove it")
    dataset: ImageDataset = build(plain["data"])
    extractor = build(plain["features"]).to(pick_device(plain["device"]))
    extractor.check(dataset.spec)
    source = TableSource(dataset.table(plain["split"]), f"{dataset.name} {plain['split']}")
    reference = Reference.read(source, extractor, plain["batch_size"], progress=True, cache=cache_dir() / "features")
    reference.export(out)
    print(f"{out}: {reference.moments.count} images, {len(reference.moments.mean)} features of {extractor.name}")
