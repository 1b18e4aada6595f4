"""Leaderboard rows: what every other tool reads (docs/leaderboard.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast, get_args

from genbench.benchmark.statistics import Spread, finite


class ScoreSummary(TypedDict):
    """A score of a row: its mean, the deviation of what was repeated, and the mean's standard error and interval."""

    mean: float | None
    std: float | None
    error: float | None
    interval: list[float] | None


Status = Literal["ok", "failed", "unjudged"]

Row = TypedDict(
    "Row",
    {
        "family": str,
        "model": str,
        "data": str,
        "seeds": list[int],
        "images": int | None,
        "flops": float | None,
        "budget_seconds": float | None,
        "features": str | None,
        "fd": float | None,
        "fd_std": float | None,
        "is": float | None,
        "is_std": float | None,
        "spread": Spread | None,
        "accuracy": float | None,
        "overall": float | None,
        "overall_held_out": float | None,
        "single_object": float | None,
        "two_objects": float | None,
        "counting": float | None,
        "colour": float | None,
        "position": float | None,
        "attribute_binding": float | None,
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
        "status": Status,
        "error": str | None,
        "scores": dict[str, ScoreSummary],
        "flags": list[str],
        "sampler": dict[str, Any] | None,
        "variation": str | None,
        "weights": str | None,
        "checkpoints_tried": int | None,
        "recipe": str | None,
        "source": str | None,
    },
)
ROW_KEYS: tuple[str, ...] = tuple(Row.__annotations__)

Captioned = Literal[
    "overall",
    "overall_held_out",
    "single_object",
    "two_objects",
    "counting",
    "colour",
    "position",
    "attribute_binding",
]
CAPTIONED: tuple[Captioned, ...] = get_args(Captioned)
"""Shares of pictures that show what their caption says, which every row has beside those in `scores`."""

CONTROL = "control"
EXTERNAL = "external"


def is_control(row: Row) -> bool:
    """Whether the row judges no model but images of known worth: real ones, copies of the training set, noise, ..."""
    return row["family"] == CONTROL


def is_real(row: Row) -> bool:
    """Whether the row is the control that judges real images."""
    return is_control(row) and row["model"] == "real"


def score(row: Row, key: str) -> float | None:
    """The mean of a score; None if the row does not have it."""
    return row["scores"][key]["mean"] if key in row["scores"] else None


def deviation(row: Row, key: str) -> float | None:
    """How far one evaluation of a row strays: the std of what was repeated.

    Where nothing was, its bootstrap error, which estimates what the std of further draws would be.
    """
    if key not in row["scores"]:
        return None
    summary = row["scores"][key]
    return summary["error"] if row["spread"] is None else summary["std"]


def freedom(row: Row) -> float:
    """Degrees of freedom behind a row's standard errors: infinite where they come of resampling."""
    return len(row["seeds"]) - 1 if row["spread"] == "training seeds" else math.inf


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
