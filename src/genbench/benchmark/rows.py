"""Leaderboard rows: what every other tool reads, and how cells become them (docs/leaderboard.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict, cast

from genbench.benchmark.statistics import Estimate, Spread, estimate, finite, mean, spread_of
from genbench.core import RunError

Cell = Mapping[str, Any]
"""One judged run: family, model, data, seed, images, params, train_seconds, images_per_second, run and `result`."""

Row = TypedDict(
    "Row",
    {
        "family": str,
        "model": str,
        "data": str,
        "seeds": list[int],
        "images": int | None,
        "features": str | None,
        "fd": float | None,
        "fd_std": float | None,
        "is": float | None,
        "is_std": float | None,
        "spread": Spread | None,
        "accuracy": float | None,
        "bits_per_dim": float | None,
        "likelihood": str | None,
        "params": int | None,
        "train_seconds": float | None,
        "images_per_second": float | None,
        "sample_seconds_per_1k": float | None,
        "nfe": float | None,
        "samples": int | None,
        "protocol": str | None,
        "protocol_fields": dict[str, Any] | None,
        "run": str | None,
        "runs": list[str],
        "status": Literal["ok", "failed"],
        "error": str | None,
    },
)
ROW_KEYS: tuple[str, ...] = tuple(Row.__annotations__)

CONTROL = "control"


def is_control(row: Row) -> bool:
    """Whether the row judges no model but real images or noise."""
    return row["family"] == CONTROL


def aggregate(cells: Iterable[Cell]) -> list[Row]:
    """One row per (model, data, recipe, protocol) over its training seeds; failed cells get rows of their own.

    `recipe` is what two cells must share to be averaged: everything that decides the weights but the seed.

    Raises:
        RunError: two cells of one row share a seed, so that something else must differ between them.
    """
    judged: dict[tuple[Any, ...], list[Cell]] = {}
    failed: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        result = cell.get("result")
        name = (cell["family"], cell["model"], cell["data"])
        if result is None:
            failed.setdefault((*name, cell.get("error")), []).append(cell)
        else:
            judged.setdefault((*name, cell.get("images"), cell.get("recipe"), result.get("protocol")), []).append(cell)
    return [*map(_judged_row, judged.values()), *map(_failed_row, failed.values())]


def _judged_row(cells: Sequence[Cell]) -> Row:
    _require_distinct_seeds(cells)
    first, results = cells[0], [cell["result"] for cell in cells]
    repeats = [result.get("repeats") or [result] for result in results]
    fd, score = _estimate(repeats, "fd"), _estimate(repeats, "is")
    row = _blank_row(cells)
    row["features"] = results[0].get("features")
    row["fd"], row["fd_std"] = fd.mean, fd.std
    row["is"], row["is_std"] = score.mean, score.std
    row["spread"] = spread_of(repeats)
    row["accuracy"] = _estimate(repeats, "accuracy").mean
    row["bits_per_dim"] = mean(result.get("bits_per_dim") for result in results)
    row["likelihood"] = results[0].get("likelihood")
    row["params"] = first.get("params")
    row["train_seconds"] = mean(cell.get("train_seconds") for cell in cells)
    row["images_per_second"] = mean(cell.get("images_per_second") for cell in cells)
    row["sample_seconds_per_1k"] = mean(result.get("sample_seconds_per_1k") for result in results)
    row["nfe"] = mean(result.get("nfe") for result in results)
    row["samples"] = results[0].get("samples")
    row["protocol"] = results[0].get("protocol")
    row["protocol_fields"] = results[0].get("protocol_fields")
    return row


def _failed_row(cells: Sequence[Cell]) -> Row:
    row = _blank_row(cells)
    row["status"] = "failed"
    row["error"] = cells[0].get("error") or "no result"
    return row


def _blank_row(cells: Sequence[Cell]) -> Row:
    """Who was trained on what, and nothing yet of how well."""
    first = cells[0]
    runs = [str(cell["run"]) for cell in cells if cell.get("run") is not None]
    row = cast(Row, dict.fromkeys(ROW_KEYS))
    row["family"], row["model"], row["data"] = first["family"], first["model"], first["data"]
    row["seeds"] = [int(cell["seed"]) for cell in cells if cell.get("seed") is not None]
    row["images"] = first.get("images")
    row["run"] = runs[0] if runs else None
    row["runs"] = runs
    row["status"] = "ok"
    return row


def _estimate(repeats: Sequence[Sequence[Mapping[str, Any]]], key: str) -> Estimate:
    return estimate([[repeat.get(key) for repeat in seed] for seed in repeats])


def _require_distinct_seeds(cells: Sequence[Cell]) -> None:
    by_seed: dict[Any, Cell] = {}
    for cell in cells:
        twin = by_seed.setdefault(cell.get("seed"), cell)
        if twin is not cell:
            raise RunError(
                f"{twin.get('run')} and {cell.get('run')} are both model {cell['model']} on {cell['data']} with seed "
                f"{cell.get('seed')}: a row averages over different seeds only; leave one of the runs out"
            )


def normalised(row: Row) -> Row:
    """The row with every documented key, in order, and None for whatever is not a finite number."""
    present = dict(row)
    keys = [*ROW_KEYS, *(key for key in present if key not in ROW_KEYS)]
    return cast(Row, {key: _jsonable(present.get(key)) for key in keys})


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return finite(value) if isinstance(value, float) else value
