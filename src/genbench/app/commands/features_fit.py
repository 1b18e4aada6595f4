"""`genbench features fit`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from torch import Tensor

from genbench.app.build import build, resolve
from genbench.app.validate import validate_config
from genbench.core import ConfigError, DataError
from genbench.data.dataset import ImageDataset, Split
from genbench.features.fitted import fitted

FOLDER = Path("features")


def run(config: DictConfig) -> None:
    """Fits a classifier to labelled data, or finds it fitted, and says how to judge by it."""
    plain = resolve(config)
    validate_config(plain, "features_fit")
    if plain["data"] is None:
        raise ConfigError("a classifier needs data to be fitted to: give data=..., such as data=fashion_mnist")
    dataset: ImageDataset = build(plain["data"])
    out = Path(plain["out"] or FOLDER / f"{dataset.name}.safetensors")
    train, test = _labelled(dataset, "train"), _labelled(dataset, "test")
    record, now = fitted(
        out, dataset.name, train, test, dataset.spec.num_classes,
        epochs=plain["epochs"], seed=plain["seed"], progress=True,
    )  # fmt: skip
    print(
        f"{out}: {'fitted' if now else 'fitted before, nothing to do'}; {record['test_accuracy']:.2%} of "
        f"{record['test_images']} test images given their own class\n"
        f"next: genbench evaluate ... features=domain features.weights={out}"
    )


def _labelled(dataset: ImageDataset, split: Split) -> tuple[Tensor, Tensor]:
    table = dataset.table(split)
    if table.label is None or dataset.spec.num_classes < 2:
        raise DataError(
            f"{dataset.name} has no labels of two classes or more to fit a classifier to: give data with labels "
            "(image_folder takes a folder per class), or judge with features=inception"
        )
    if len(table) == 0:
        raise DataError(f"{dataset.name} has no {split} images: a classifier is fitted to train and tested on test")
    images = table.take(range(len(table)))
    assert images.label is not None
    return images.image, images.label
