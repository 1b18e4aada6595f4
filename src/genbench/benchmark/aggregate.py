"""From judged cells to rows: means over training seeds, their spreads and standard errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from genbench.benchmark.rows import CAPTIONED, ROW_KEYS, Row, ScoreSummary, score
from genbench.benchmark.statistics import estimate, finite, interval, mean, spread_of
from genbench.core import RunError
from genbench.metrics import within_range

Cell = Mapping[str, Any]
"""One judged run: family, model, data, seed, images, params, train_seconds, images_per_second, run and `result`."""

UNKNOWN: ScoreSummary = {"mean": None, "std": None, "error": None, "interval": None}


def aggregate(cells: Iterable[Cell]) -> list[Row]:
    """One row per (model, data, recipe, protocol) over its training seeds; cells without a result get their own.

    `recipe` is what two cells must share to be averaged: everything that decides the weights but the seed.

    Raises:
        RunError: two cells of one row share a seed, so that something else must differ between them.
    """
    cells = _told_apart(list(cells))
    judged: dict[tuple[Any, ...], list[Cell]] = {}
    without: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        result = cell.get("result")
        # every seed is measured for itself where the budget is in seconds
        length = cell.get("images") if cell.get("budget_seconds") is None else None
        name = (cell["family"], cell["model"], cell["data"], length, cell.get("recipe"))
        if result is None:
            without.setdefault((*name, cell.get("error")), []).append(cell)
        else:
            judged.setdefault((*name, result.get("protocol")), []).append(cell)
    return [*map(_judged_row, judged.values()), *map(_row_without_result, without.values())]


def _told_apart(cells: Sequence[Cell]) -> list[Cell]:
    """The cells, those of several recipes under one name with the recipe's hash in their names."""
    recipes: dict[tuple[Any, ...], set[Any]] = {}
    for cell in cells:
        recipes.setdefault((cell["family"], cell["model"], cell["data"]), set()).add(cell.get("recipe"))
    return [
        {**cell, "model": f"{cell['model']} {cell['recipe']}"}
        if cell.get("recipe") and len(recipes[cell["family"], cell["model"], cell["data"]]) > 1
        else cell
        for cell in cells
    ]


def _judged_row(cells: Sequence[Cell]) -> Row:
    _require_distinct_seeds(cells)
    first, results = cells[0], [cell["result"] for cell in cells]
    row = _blank_row(cells)
    row["spread"] = spread_of([_repeats(result) for result in results])
    row["scores"] = {key: summary(results, key) for key in _score_keys(results)}
    fd, inception = row["scores"].get("fd", UNKNOWN), row["scores"].get("is", UNKNOWN)
    row["fd"], row["fd_std"] = fd["mean"], fd["std"]
    row["is"], row["is_std"] = inception["mean"], inception["std"]
    row["accuracy"] = row["scores"].get("accuracy", UNKNOWN)["mean"]
    for key in CAPTIONED:
        row[key] = score(row, key)
    row["bits_per_dim"] = mean(result.get("bits_per_dim") for result in results)
    row["train_seconds"] = mean(cell.get("train_seconds") for cell in cells)
    row["images_per_second"] = mean(cell.get("images_per_second") for cell in cells)
    row["sample_seconds_per_1k"] = mean(result.get("sample_seconds_per_1k") for result in results)
    row["nfe"] = mean(result.get("nfe") for result in results)
    row["params"] = first.get("params")
    row["checkpoints_tried"] = first.get("checkpoints_tried")
    row["flags"] = list(dict.fromkeys(flag for result in results for flag in result.get("flags") or []))
    row["features"], row["likelihood"] = results[0].get("features"), results[0].get("likelihood")
    row["samples"], row["protocol"] = results[0].get("samples"), results[0].get("protocol")
    row["protocol_fields"] = results[0].get("protocol_fields")
    row["sampler"], row["weights"] = results[0].get("sampler"), results[0].get("weights")
    return row


def summary(results: Sequence[Mapping[str, Any]], key: str) -> ScoreSummary:
    """A score over the results of one training seed each.

    With two seeds or more its error is the spread of the seeds' means over the root of their number, and the
    interval is the t distribution's; with one it is the result's own, from resampling what was drawn. Intervals end
    where the score's range does.
    """
    found = estimate([[repeat.get(key) for repeat in _repeats(result)] for result in results])
    error, freedom = finite(results[0].get(f"{key}_error")), math.inf
    if found.spread == "training seeds":
        error = None if found.std is None else found.std / math.sqrt(len(results))
        freedom = len(results) - 1
        if error == 0.0:
            # seeds that agree to the last digit, as rates of few samples may: at least the samples would have differed
            drawn = [finite(result.get(f"{key}_error")) or 0.0 for result in results]
            error = math.sqrt(math.fsum(e * e for e in drawn)) / len(drawn)
    if found.mean is None or error is None:
        return {**UNKNOWN, "mean": found.mean, "std": found.std}
    within = within_range(key, *interval(found.mean, error, freedom))
    return {"mean": found.mean, "std": found.std, "error": error, "interval": within}


def _repeats(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return result.get("repeats") or []


def _score_keys(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The scores that any repeat of any result has, each once."""
    found = dict.fromkeys(key for result in results for repeat in _repeats(result) for key in repeat)
    return [key for key in found if key != "seed" and not (key.endswith("_error") and key[:-6] in found)]


def _row_without_result(cells: Sequence[Cell]) -> Row:
    row = _blank_row(cells)
    row["status"] = cells[0].get("status", "failed")
    row["error"] = cells[0].get("error") or "no result"
    return row


def _blank_row(cells: Sequence[Cell]) -> Row:
    """Who was trained on what, and nothing yet of how well."""
    first = cells[0]
    runs = [str(cell["run"]) for cell in cells if cell.get("run") is not None]
    row = cast(Row, dict.fromkeys(ROW_KEYS))
    row["family"], row["model"], row["data"] = first["family"], first["model"], first["data"]
    row["seeds"] = [int(cell["seed"]) for cell in cells if cell.get("seed") is not None]
    for key in ("flops", "budget_seconds", "recipe", "source", "variation"):
        row[key] = first.get(key)
    images = mean(cell.get("images") for cell in cells)
    row["images"] = None if images is None else round(images)
    row["run"] = runs[0] if runs else None
    row["runs"] = runs
    row["status"] = "ok"
    row["scores"], row["flags"] = {}, []
    return row


def _require_distinct_seeds(cells: Sequence[Cell]) -> None:
    by_seed: dict[Any, Cell] = {}
    for cell in cells:
        twin = by_seed.setdefault(cell.get("seed"), cell)
        if twin is not cell:
            raise RunError(
                f"{twin.get('run')} and {cell.get('run')} are both model {cell['model']} on {cell['data']} with seed "
                f"{cell.get('seed')}: a row averages over different seeds only; leave one of the runs out"
            )
