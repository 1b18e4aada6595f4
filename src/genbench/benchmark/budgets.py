"""What the models of a table had alike in training: images, operations, seconds, or none of them."""

from __future__ import annotations

from collections.abc import Sequence

from genbench.benchmark.columns import number
from genbench.benchmark.rows import Row, is_control


def told(rows: Sequence[Row]) -> str | None:
    """In words what every trained model was given; None where there are not two to compare."""
    trained = [row for row in rows if not is_control(row) and row["images"] is not None]
    if len({row["run"] for row in trained}) < 2:  # one model drawn from in several ways
        return None
    flops = {row["flops"] for row in trained}
    seconds = {row["budget_seconds"] for row in trained}
    images = {row["images"] for row in trained}
    if len(flops) == 1 and None not in flops:
        return f"Equal compute: every model was trained with {flops.pop():.3g} floating-point operations."
    if len(seconds) == 1 and None not in seconds:
        return f"Equal time: every model was given {seconds.pop():g} s of training{_taken(trained)}."
    if len(images) == 1:
        return f"Equal images: every model was trained on {images.pop():,}."
    return f"Unequal budgets: models were trained on {min(images):,} to {max(images):,} images."  # type: ignore[type-var]


def _taken(trained: Sequence[Row]) -> str:
    """What a budget in seconds came to: each model's speed was measured before its training, and may have drifted."""
    took = [row["train_seconds"] for row in trained if row["train_seconds"] is not None]
    return f", which took them {number(min(took))} to {number(max(took))} s" if took else ""
