"""Learning curves out of a run's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genbench.benchmark.statistics import finite

Records = Sequence[Mapping[str, Any]]
Floats = npt.NDArray[np.float64]


def series(curve: Records, x: str, y: str) -> tuple[Floats, Floats]:
    """The records that have both numbers, as two float64 arrays of equal length."""
    pairs = [(finite(record.get(x)), finite(record.get(y))) for record in curve]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    array = np.array(known, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def losses(curve: Records) -> list[str]:
    """Names of the losses in a log: `loss`, or one `NAME_loss` per train step."""
    names = dict.fromkeys(key for record in curve for key in record)
    return [name for name in names if name == "loss" or name.endswith("_loss")]


def smooth(values: Floats) -> Floats:
    """Centred running mean over a twentieth of the curve; the window shrinks at the ends."""
    half = len(values) // 40
    total = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(len(values))
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half + 1, len(values))
    return np.asarray((total[high] - total[low]) / (high - low), dtype=np.float64)


def thin(x: Floats, y: Floats, points: int = 200) -> tuple[Floats, Floats]:
    """At most `points` of a curve, evenly chosen, both ends included."""
    if len(x) <= points:
        return x, y
    chosen = np.linspace(0, len(x) - 1, points).round().astype(int)
    return x[chosen], y[chosen]


def probes(curve: Records) -> tuple[Floats, Floats, Floats]:
    """Images seen, training seconds and Frechet distance of each probe.

    A probe's seconds are those of the records around it, NaN if none has any.
    """
    found = [record for record in curve if finite(record.get("fd")) is not None]
    images, fd = series(found, "images", "fd")
    at, clock = series(curve, "images", "seconds")
    order = np.argsort(at, kind="stable")
    seconds = np.interp(images, at[order], clock[order]) if len(at) else np.full_like(images, np.nan)
    return images, seconds, fd
