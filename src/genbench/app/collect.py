"""From run folders to the cells, rows and pages of a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genbench.app.build import resolve
from genbench.app.judging import read_result
from genbench.benchmark.report import ModelPage
from genbench.benchmark.rows import Row, aggregate, is_control
from genbench.benchmark.tables import ranked
from genbench.core import RunError
from genbench.data.dataset import ImageDataset
from genbench.data.npz import read_npz
from genbench.run import Run, recipe_hash
from genbench.training.jsonl import read_log

SHEET = "final.npz"
FAILURE = "failed.json"
CONTROLS = "controls"
REAL = "real.npz"

Sheet = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]
NOTHING: Sheet = (np.zeros((0, 1, 1, 1), np.uint8), None)


def find_runs(roots: Sequence[str | Path]) -> list[Run]:
    """Every run folder at or below the given folders, once each, in the order of their paths.

    Raises:
        RunError: a folder that does not exist, or holds no run.
    """
    runs: dict[Path, Run] = {}
    for root in map(Path, roots):
        found = sorted(path.parent for path in root.rglob("manifest.json") if not path.parent.name.startswith("."))
        if not found:
            raise RunError(f"{root} holds no run folder: give a benchmark's folder, or folders of `genbench train`")
        for path in found:
            runs.setdefault(path.resolve(), Run.open(path))
    return list(runs.values())


def cells(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """One cell per run and protocol it was judged under; a run that failed or was never judged is a failed cell."""
    found = []
    for run in runs:
        config = run.config
        cell = {
            "family": str(config.model._target_).split(".")[-2],
            "model": config.name,
            "data": run.manifest["data"]["name"],
            "seed": config.seed,
            "images": config.budget.images,
            "recipe": recipe_hash(resolve(config)),
            "run": str(run.path),
        }
        if run.finished:
            summary = run.summary
            cell |= {
                "params": summary["params"],
                "train_seconds": summary["seconds"],
                "images_per_second": summary["images_per_second"],
            }
        results = sorted(run.result_path("*").parent.glob("*.json"))
        found += [{**cell, "result": read_result(path)} for path in results]
        if not results:
            found.append({**cell, "result": None, "error": _why_not(run)})
    return found


def _why_not(run: Run) -> str:
    failure = run.path / FAILURE
    if failure.is_file():
        return str(json.loads(failure.read_text())["error"])
    return "never judged" if run.finished else "training is not finished"


def controls(roots: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The control cells that benchmarks left below the given folders, each protocol's once."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for root in map(Path, roots):
        for path in sorted(root.rglob(f"{CONTROLS}/*.json")):
            kept = read_result(path)
            for name, result in kept["results"].items():
                cell = {"family": "control", "model": name, "data": kept["data"], "seed": None, "result": result}
                found[name, result["protocol"]] = cell
    return list(found.values())


def pages(rows: Sequence[Row]) -> list[ModelPage]:
    """What can be shown of each row, best first: the first run's samples and training record."""
    shown = []
    for row in ranked(rows):
        if is_control(row) or row["run"] is None:
            continue
        run = Run.open(row["run"])
        sheet = run.samples / SHEET
        images, labels = _load(sheet) if sheet.is_file() else NOTHING
        shown.append(ModelPage(row, images, labels, read_log(run.log)))
    return shown


def real_images(roots: Sequence[str | Path]) -> Sheet:
    """Real images that a benchmark left below the given folders, ordered as the models' sheets are."""
    for root in map(Path, roots):
        for path in sorted(root.rglob(REAL)):
            return _load(path)
    return NOTHING


def choose_real(dataset: ImageDataset, n: int) -> list[int]:
    """Indices of test images whose i-th has label i modulo the classes, or the first ones without labels."""
    label = dataset.table("test").label
    if label is None or not dataset.spec.num_classes:
        return list(range(min(n, len(dataset.table("test")))))
    of_class = [iter((label == k).nonzero().flatten().tolist()) for k in range(dataset.spec.num_classes)]
    chosen: list[int] = []
    for i in range(n):
        index = next(of_class[i % len(of_class)], None)
        if index is None:
            break
        chosen.append(index)
    return chosen


def all_rows(roots: Sequence[str | Path]) -> list[Row]:
    """The rows of every run and control below the given folders."""
    return aggregate([*cells(find_runs(roots)), *controls(roots)])


def about(runs: Sequence[Run]) -> dict[str, Any]:
    """What a report says of where its numbers come from, under its headings."""
    first = runs[0].manifest
    code = first["git"] or {}
    return {
        "Commands": [run.manifest["command"] for run in runs[:1]],
        "Machine": first["machine"],
        "Versions": first["versions"],
        **({"Code": code} if code else {}),
    }


def _load(path: Path) -> Sheet:
    table = read_npz(path)
    return table.image.permute(0, 2, 3, 1).numpy(), None if table.label is None else table.label.numpy()
