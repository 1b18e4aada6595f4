"""Rows of known worth: between them a model's numbers mean something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from genbench.evaluation.runner import Judge, Result
from genbench.evaluation.sources import (
    BlurSource,
    ChanceSource,
    ImageSource,
    NoiseSource,
    OneModeSource,
    RetrievalSource,
    Table,
    TableSource,
)
from genbench.metrics import FeatureTable

REAL = (
    "real: training images, since the test split is the reference; its scores of memorisation compare with those "
    "training images that were left over, all others' with the whole training split"
)


def controls(judge: Judge, train: Table, test: Table, name: str) -> dict[str, Result]:
    """The results of sources that are no models, by name.

    `real`: images that are not the reference, and not what the metrics of memorisation compare with either: the
    test split against a training reference, or else training images with those left over as training split.
    `train copy`: a model that memorised the training images, which those metrics must flag. `noise`: uniform
    pixels. `blur`: training images out of focus. `one mode`: nothing but images of one class. Where a metric reads
    captions also `chance`: test images with one another's captions, and `retrieval`: for each test caption the
    training image whose caption shares most words with it. Where a split has fewer images than the protocol asks for,
    all of it is used under the protocol of that size.
    """
    copy = TableSource(train, f"{name} train")
    against_test = judge.protocol.reference == "test"
    real = copy if against_test else TableSource(test, f"{name} test")
    sources: dict[str, ImageSource] = {
        "real": real,
        "train copy": copy,
        "noise": NoiseSource(judge.spec, judge.prompts),
        "blur": BlurSource(train, f"{name} blurred", levels=judge.spec.levels),
        "one mode": OneModeSource(train, f"{name} one mode", judge.prompts),
    }
    if judge.prompts is not None and any(metric.needs_captions for metric in judge.metrics.values()):
        sources |= {
            "chance": ChanceSource(test, judge.prompts, f"{name} test, captions dealt out"),
            "retrieval": RetrievalSource(train, judge.prompts, f"{name} train, nearest caption"),
        }
    results = {}
    for control, source in sources.items():
        n = min(judge.protocol.samples, source.size or judge.protocol.samples)
        sized = replace(judge, protocol=replace(judge.protocol, samples=n))
        memory = _left_over(judge.split("train"), source, n) if control == "real" and against_test else None
        results[control] = sized.evaluate(source, memory=memory)
        if memory is not None:
            results[control]["flags"].append(REAL)
    return results


def _left_over(train: FeatureTable | None, source: ImageSource, n: int) -> Callable[[int], FeatureTable | None]:
    """The training rows that a seed's choice left, None if it left too few to search for neighbours in."""

    def rest(seed: int) -> FeatureTable | None:
        chosen = set(source.choice(n, seed))
        left: Sequence[int] = [row for row in range(source.size or 0) if row not in chosen]
        return train.take(left) if train is not None and len(left) >= len(chosen) // 4 else None

    return rest
