"""From run folders to the cells, rows and pages of a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from genbench.app.build import resolve
from genbench.app.judging import read_result
from genbench.app.verdicts import checker_of, in_words
from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.report import ModelPage
from genbench.benchmark.report.page import Sheet, Told
from genbench.benchmark.rows import CONTROL, EXTERNAL, Row, is_control
from genbench.benchmark.tables import ranked
from genbench.core import RunError
from genbench.data.images import ResidentTable
from genbench.data.npz import read_npz
from genbench.identity import recipe_hash
from genbench.run import TRAIN, Run, suffix
from genbench.shapes import Checker
from genbench.training.jsonl import read_log

FAILURE = "failed.json"
CONTROLS = "controls"
NEIGHBOURS = ".neighbours.png"
FAILED = ".failed.json"

NOTHING: Sheet = (np.zeros((0, 1, 1, 1), np.uint8), None)


def find_runs(roots: Sequence[str | Path]) -> list[Run]:
    """Every run folder at or below the given folders, once each, in the order of their paths.

    Raises:
        RunError: a folder that does not exist, or holds neither a run nor an external model's results.
    """
    runs: dict[Path, Run] = {}
    for root in map(Path, roots):
        found = sorted(path.parent for path in root.rglob("manifest.json") if not path.parent.name.startswith("."))
        if not found and not _external_results(root):
            raise RunError(f"{root} holds no run folder: give a benchmark's folder, or folders of `genbench train`")
        for path in found:
            runs.setdefault(path.resolve(), Run.open(path))
    return list(runs.values())


def cells(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """One cell per run and protocol it was judged under, and one without a result per failure or unjudged run."""
    found = []
    for run in runs:
        config = run.config
        cell = {
            "family": family(config.model),
            "model": config.name,
            "data": run.manifest["data"]["name"],
            "seed": config.seed,
            **_budget(config),
            "recipe": recipe_hash(resolve(config), run.images.get(TRAIN)),
            "run": str(run.path),
        }
        if run.finished:
            summary = run.summary
            cell |= {
                "params": summary["params"],
                "train_seconds": summary["seconds"],
                "images_per_second": summary["images_per_second"],
                "checkpoints_tried": (summary.get("selected") or {}).get("tried"),
            }
        judged = [_drawn_otherwise({**cell, **outcome}) for outcome in _judgements(run)]
        found += judged or [{**cell, **_why_not(run)}]
    return found


def _budget(config: DictConfig) -> dict[str, Any]:
    """What a training cost, as far as its config says."""
    budget = config.get("budget") or {}  # trained elsewhere
    return {
        "images": budget.get("images"),
        "flops": budget.get("flops"),
        "budget_seconds": budget.get("seconds"),
    }


def _drawn_otherwise(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell, with a benchmark's other way to draw from its run in the name."""
    variation = (cell["result"] or {}).get("variation")
    return cell if variation is None else {**cell, "model": f"{cell['model']} {variation}", "variation": variation}


def family(model: DictConfig) -> str:
    """What kind of generator a model's config node builds, as reports have it."""
    if model.get("text_encoder") is not None:
        return "text-to-image"
    return str(model._target_).split(".")[-2]


def _judgements(run: Run) -> list[dict[str, Any]]:
    """What came of each protocol the run was judged under."""
    outcomes: list[dict[str, Any]] = []
    for path in sorted(run.results.glob("*.json")):
        if not path.name.endswith(FAILED):
            outcomes.append({"result": read_result(path)})
        elif not path.with_name(path.name.removesuffix(FAILED) + ".json").is_file():
            why = f"judging under protocol {path.name.removesuffix(FAILED)}: {read_result(path)['error']}"
            outcomes.append({"result": None, "error": why, "status": "failed"})
    return outcomes


def _why_not(run: Run) -> dict[str, Any]:
    failure = run.path / FAILURE
    if failure.is_file():
        return {"result": None, "error": str(json.loads(failure.read_text())["error"]), "status": "failed"}
    why = "`genbench evaluate run=FOLDER` judges it" if run.finished else "training is not finished"
    return {"result": None, "error": why, "status": "unjudged"}


def controls(roots: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The control cells that benchmarks left below the given folders, each protocol's once."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for root in map(Path, roots):
        for path in sorted(root.rglob(f"{CONTROLS}/*.json")):
            kept = read_result(path)
            for name, result in kept["results"].items():
                cell = {"family": CONTROL, "model": name, "data": kept["data"], "seed": None, "result": result}
                found[name, result["protocol"]] = cell
    return list(found.values())


def external(roots: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The cells of images that others made, judged into a folder below the given ones; each result once.

    Raises:
        RunError: different results under one name and protocol.
    """
    found: dict[tuple[Any, ...], tuple[Path, dict[str, Any]]] = {}
    for root in map(Path, roots):
        for path in _external_results(root):
            result = read_result(path)
            key = tuple(result.get(name) for name in ("name", "data", "protocol"))
            if None in key:
                raise RunError(
                    f"{path} is no result of external samples: it needs name, data and protocol; judge the samples "
                    "again with `genbench evaluate samples=... name=... into=...`"
                )
            twin, kept = found.setdefault(key, (path, result))
            if kept != result:
                raise RunError(f"{twin} and {path} differ, but are both named {key[0]}: leave one out, or rename it")
    return [_external_cell(result) for _, result in found.values()]


def _external_cell(result: dict[str, Any]) -> dict[str, Any]:
    named = {"family": EXTERNAL, "model": result["name"], "data": result["data"], "seed": None}
    return {**named, "source": result.get("source"), "result": result}


def _external_results(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob(f"{EXTERNAL}/*/*.json") if not path.name.endswith(FAILED))


def pages(rows: Sequence[Row]) -> list[ModelPage]:
    """What can be shown of each row, best first: the first run's samples and training record."""
    shown = []
    for row in ranked(rows):
        if is_control(row) or row["run"] is None:
            continue
        run = Run.open(row["run"])
        result = _result(run, row)
        drawn = _shown(run, result)
        images, labels = NOTHING if drawn is None else _sheet(drawn)
        told = [] if drawn is None else _told(run, result, drawn)
        beside = run.results / f"{row['protocol']}{suffix(row['variation'])}{NEIGHBOURS}"
        shown.append(
            ModelPage(row, images, labels, read_log(run.log), beside.read_bytes() if beside.is_file() else None, told)
        )
    return shown


def _result(run: Run, row: Row) -> dict[str, Any]:
    """The result of a row's first run; nothing where it has none."""
    path = run.result_path(str(row["protocol"]), row["variation"])
    return read_result(path) if path.is_file() else {}


def _shown(run: Run, result: Mapping[str, Any]) -> ResidentTable | None:
    """The samples that were kept of a result, if any."""
    name = result.get("sheet")
    return read_npz(run.results / name) if name and (run.results / name).is_file() else None


def _told(run: Run, result: Mapping[str, Any], drawn: ResidentTable) -> list[Told]:
    """The prompts of a sheet's images, with the verdicts of a checker where there is one for the run's data."""
    checker, prompts = checker_of(resolve(run.config)), drawn.caption or []
    if checker is None and prompts and "checker" in result.get("metrics", ()):
        checker = Checker.of_captions(prompts)  # what judged them too
    if checker is None:
        return [Told(prompt) for prompt in prompts]
    verdicts = [checker(image, prompt) for image, prompt in zip(drawn.image, prompts, strict=False)]
    return [Told(prompt, v.ok, in_words(v)) for prompt, v in zip(prompts, verdicts, strict=True)]


def real_images(runs: Iterable[Run]) -> dict[str, Sheet]:
    """Real images that were kept beside the runs' results, by the name of the data, ordered as samples are."""
    found: dict[str, Sheet] = {}
    for run in runs:
        for outcome in _judgements(run):
            result = outcome["result"] or {}
            name, path = str(result.get("data")), run.results / str(result.get("real"))
            if name not in found and path.is_file():
                found[name] = _sheet(read_npz(path))
    return found


def all_rows(roots: Sequence[str | Path]) -> list[Row]:
    """The rows of every run, external model and control below the given folders."""
    return aggregate([*cells(find_runs(roots)), *external(roots), *controls(roots)])


def about(runs: Sequence[Run]) -> dict[str, Any]:
    """What a report says of where its numbers come from, under its headings."""
    if not runs:
        return {}
    first = runs[0].manifest
    code = first["git"] or {}
    return {
        "Commands": [run.manifest["command"] for run in runs[:1]],
        "Machine": first["machine"],
        "Versions": first["versions"],
        **({"Code": code} if code else {}),
    }


def _sheet(table: ResidentTable) -> Sheet:
    return table.image.permute(0, 2, 3, 1).numpy(), None if table.label is None else table.label.numpy()
