"""A classifier fitted once and kept: the same images and recipe find it, anything else leaves it alone."""

from pathlib import Path

from torch import Tensor

from genbench.core import ConfigError
from genbench.features.classifier import Record, read_classifier, read_record, write_classifier
from genbench.features.fit import accuracy, fit_classifier, labelled_sha256, recipe

Labelled = tuple[Tensor, Tensor]
"""Uint8 images [N,C,H,W] and labels int64 [N]."""


def fitted(
    path: Path,
    data: str,
    train: Labelled,
    test: Labelled,
    classes: int,
    *,
    epochs: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> tuple[Record, bool]:
    """The record of the classifier in `path`, and whether it was fitted now.

    The network sees `train` alone; `test` is what its recorded accuracy is measured on.

    Raises:
        ConfigError: the file is something else, or fitted to other images or by another recipe.
        DataError: images or labels that no classifier can be fitted to.
    """
    wanted: Record = {
        "data": data,
        "recipe": recipe(len(train[0]), epochs, seed),
        "train_images": len(train[0]),
        "test_images": len(test[0]),
        "train_sha256": labelled_sha256(*train),
        "test_sha256": labelled_sha256(*test),
    }
    if path.exists():
        return _same(path, wanted), False
    net = fit_classifier(*train, classes, epochs=epochs, seed=seed, progress=progress)
    record = {
        **wanted,
        "train_accuracy": round(accuracy(net, *train), 6),
        "test_accuracy": round(accuracy(net, *test), 6),
    }
    write_classifier(path, net, record)
    return read_record(path), True


def _same(path: Path, wanted: Record) -> Record:
    try:
        _, record = read_classifier(path)
    except ConfigError as error:
        raise ConfigError(f"out={path} exists and is no classifier that can be used again: give another out") from error
    differs = [key for key, value in wanted.items() if record.get(key) != value]
    if differs:
        raise ConfigError(
            f"out={path} holds a classifier with another {' and '.join(differs)}: give another out=FILE, or delete it"
        )
    return record
