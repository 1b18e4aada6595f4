"""What is drawn and measured while a model trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from genbench.app.build import build
from genbench.app.verdicts import checker_of, in_words
from genbench.core import GenerativeModel
from genbench.data.dataset import ImageDataset, Split
from genbench.evaluation import Protocol
from genbench.evaluation.sources import ModelSource, TableSource
from genbench.features import FeatureExtractor
from genbench.run import Run
from genbench.training.preview import Preview
from genbench.training.probe import Probe
from genbench.training.selection import Selection

SHEET = 64
DRAWN = 500
REFERENCE = 1000
BATCH = 250
SEED = 1_000_003
"""Not one of a protocol's seeds 0, 1, ...: what is watched while training is never what is reported."""


def preview(
    run: Run, dataset: ImageDataset, config: Mapping[str, Any], model: GenerativeModel, selection: Selection | None
) -> Preview:
    """The preview callback of a training: few samples of one seed, a sheet of them and torchmetrics' numbers.

    They are compared with images of the split that is not the protocol's reference, so that weights selected by
    previews were not selected by what they are reported against.

    Raises:
        ConfigError: an extractor that cannot judge this data, or whose weights are not at hand.
    """
    extractor: FeatureExtractor = build(config["features"])
    extractor.check(dataset.spec)
    protocol: Protocol = build(config["protocol"])
    split: Split = "train" if protocol.reference == "test" else "test"

    checker = checker_of(config)

    def told(image: Tensor, caption: str) -> str:
        return caption if checker is None else f"{caption}: {in_words(checker(image, caption))}"

    @cache
    def probe() -> Probe:
        # at the first look, where it costs no training time and the model has found its device
        source = TableSource(dataset.table(split), f"{dataset.name} {split}")
        image, _ = source.draw(SEED, source.choice(min(REFERENCE, len(dataset.table(split))), SEED))
        return Probe(extractor.to(next(model.parameters()).device), image, BATCH)

    def look() -> tuple[Tensor, Mapping[str, float], Sequence[str] | None]:
        # never the test captions: these are what the result is reported for
        source = ModelSource(model, run.path.name, prompts=dataset.table("train").caption)
        parts = [range(start, min(start + BATCH, DRAWN)) for start in range(0, DRAWN, BATCH)]
        image = torch.cat([source.draw(SEED, part)[0] for part in parts])
        captions = source.captions(range(SHEET))
        shown = None if captions is None else list(map(told, image, captions))
        return image[:SHEET], probe()(image), shown

    return Preview(run.samples, config["training"]["preview_every"], look, selection)
