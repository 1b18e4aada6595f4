"""What a table says of the budgets of its models."""

import pytest

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.tables import split


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([(1000, None), (1000, None)], "Equal images: every model was trained on 1,000."),
        ([(1000, None), (25_000, None)], "Unequal budgets: models were trained on 1,000 to 25,000 images."),
        (
            [(1000, 1e13), (25_000, 1e13)],
            "Equal compute: every model was trained with 1e+13 floating-point operations.",
        ),
        ([(1000, 1e13), (1000, 2e13)], "Equal images: every model was trained on 1,000."),
        ([(1000, 1e13), (2000, None)], "Unequal budgets: models were trained on 1,000 to 2,000 images."),
    ],
)
def test_the_table_says_what_was_equal(cell, control, given, told) -> None:
    cells = [
        cell(f"m{i}", run=f"runs/m{i}", images=images, flops=flops, fds=(float(i + 1),), error=0.1)
        for i, (images, flops) in enumerate(given)
    ]
    (table,) = split(aggregate([*cells, control("real", 1.0)]))
    assert table.notes[0] == told
    (alone,) = split(aggregate([cells[0], {**cells[0], "model": "m0 guided", "variation": "guided"}]))
    assert alone.notes[0].startswith("±")


def test_the_table_says_what_equal_time_came_to(cell) -> None:
    """Seeds are measured each for itself: one row, of the mean of their images."""
    cells = [
        cell("slow", seed=1, images=1000, budget_seconds=60.0, recipe="aa", train_seconds=61.0),
        cell("slow", seed=2, images=1601, budget_seconds=60.0, recipe="aa", train_seconds=66.0),
        cell("fast", seed=1, images=25_000, budget_seconds=60.0, recipe="bb", train_seconds=58.24),
    ]
    rows = aggregate(cells)
    assert [(row["model"], row["images"], row["budget_seconds"]) for row in rows] == [
        ("slow", 1300, 60.0),
        ("fast", 25_000, 60.0),
    ]
    (table,) = split(rows)
    assert table.notes[0] == "Equal time: every model was given 60 s of training, which took them 58.2 to 63.5 s."
    other = aggregate([*cells[:2], {**cells[2], "budget_seconds": 30.0}])
    (table,) = split(other)
    assert table.notes[0] == "Unequal budgets: models were trained on 1,300 to 25,000 images."
