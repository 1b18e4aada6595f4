"""What a report shows of a judgement: the first of its samples, and real images in the order of their labels."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, zip_longest
from typing import Any

from genbench.app.sampling import collect, save, write_sheet
from genbench.data.dataset import ImageDataset
from genbench.evaluation import Judge
from genbench.evaluation.sources import ModelSource
from genbench.run import Run

SHOWN = 100
"""Images of a sheet."""


def sheets_are_there(run: Run, result: Mapping[str, Any]) -> bool:
    """Whether the run still has the sheets that a result names; results of earlier versions name none."""
    return all(key in result and (run.results / result[key]).is_file() for key in ("sheet", "real"))


def keep_sheets(run: Run, source: ModelSource, drawn: str, dataset: ImageDataset, judge: Judge) -> dict[str, str]:
    """Writes the first of the judged samples and real images beside the run's results; says under which names.

    `drawn` names everything that decides the samples, so that judgements of the same ones share a sheet.
    """
    n, real = min(SHOWN, judge.protocol.samples), dataset.table("test").fingerprint()[:16]
    names = {"sheet": f"samples-{drawn}-{n}.npz", "real": f"real-{real}.npz"}
    if not (run.results / names["sheet"]).is_file():
        shown = collect(source, n, batch=judge.batch)
        write_sheet((run.results / names["sheet"]).with_suffix(".png"), shown.image)
        save(run.results / names["sheet"], *shown)
    if not (run.results / names["real"]).is_file():
        images = dataset.table("test").take(choose_real(dataset, SHOWN))
        save(run.results / names["real"], images.image, images.label)
    return names


def choose_real(dataset: ImageDataset, n: int) -> list[int]:
    """Indices of test images, one of each class in turn as long as it has any; the first ones without labels."""
    label = dataset.table("test").label
    if label is None or not dataset.spec.num_classes:
        return list(range(min(n, len(dataset.table("test")))))
    of_class = [(label == k).nonzero().flatten().tolist() for k in range(dataset.spec.num_classes)]
    in_turn = (index for row in zip_longest(*of_class) for index in row if index is not None)
    return list(islice(in_turn, n))
