"""What is drawn and judged while a model trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from genbench.app.judging import make_judge
from genbench.core import GenerativeModel
from genbench.data.dataset import ImageDataset
from genbench.data.images import ResidentTable
from genbench.evaluation.sources import ModelSource, TableSource
from genbench.run import Run
from genbench.training.preview import Preview

SHEET = 64
JUDGED = 500
SEED = 1_000_003
"""Not one of a protocol's seeds 0, 1, ...: what is watched while training is never what is reported."""


def preview(run: Run, dataset: ImageDataset, config: dict[str, Any], model: GenerativeModel) -> Preview:
    """The preview callback of a training: few samples of one seed, a sheet of them and a quick judgement."""
    judge = make_judge(dataset, config, progress=False, samples=JUDGED)

    def look() -> tuple[Tensor, Mapping[str, float]]:
        image, label = ModelSource(model, run.path.name).draw(SEED, range(JUDGED))
        scores = judge.scores(TableSource(ResidentTable(image, label), run.path.name), SEED)
        return image[:SHEET], {name: value for name, value in scores.items() if value is not None}

    return Preview(run.samples, config["training"]["preview_every"], look)
