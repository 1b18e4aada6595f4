"""The benchmark's question answered in words: which family or model wins, by how much, at what cost."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from genbench.benchmark.columns import count, decimals, duration, number, p_value
from genbench.benchmark.compare import ALPHA, SAMPLES, TRAININGS, Comparison, compare
from genbench.benchmark.deciding import DISTANCE
from genbench.benchmark.memorisation import copying, measured
from genbench.benchmark.rows import EXTERNAL, Row, is_control
from genbench.benchmark.tables import Table

SCALE = {
    "real": "real images score",
    "retrieval": "looking up the nearest training caption scores",
    "train copy": "a copy of the training images scores",
    "blur": "blurred images score",
    "one mode": "images of one mode score",
    "chance": "chance scores",
    "noise": "noise scores",
}
"""Controls in words, in the order they are told."""

Compared = Sequence[tuple[Row, Comparison | None]]
"""Further rows, best first, each with its comparison with the first."""


def verdict(table: Table) -> list[str]:
    """Sentences about one table: the winner or the tie, its cost, copies, the scale of the numbers, the failures."""
    rivals = best_of_each(table.judged)
    if not rivals:
        if all(is_control(row) for row in table.rows):
            return ["Only controls were judged under this protocol.", *_copies(table)]
        return ["No model has a result to compare.", *_without_rank(table)]
    first, score = rivals[0], table.deciding
    if len(rivals) == 1:
        on = score.name(table.features)
        opening = [f"Only {_name(first)} was judged, so nothing is ranked: {on} {score.text(first)}."]
    else:
        compared = [(row, compare(first, row, score.key)) for row in rivals[1:]]
        called = _model if all(row["family"] == first["family"] for row in rivals) else _name
        opening = [_ranking(table, first, compared, called), *_cost(_tied(first, compared), rivals, called)]
        opening += _caution([found for _, found in compared])
    return [*opening, *_copies(table), *_scale(table), *_without_rank(table)]


def best_of_each(judged: Sequence[Row]) -> list[Row]:
    """The best row of each family, best first, from rows in that order.

    Where all are of one family each model stands for itself, and where all were drawn from one, each way to draw.
    Nothing is known of an external model's family, so it always stands for itself.
    """
    best: dict[Hashable, Row] = {}
    for rival in (_family, lambda row: row["recipe"] or row["model"], _model):
        best = {}
        for row in judged:
            best.setdefault(rival(row), row)
        if len(best) > 1:
            break
    return list(best.values())


def _family(row: Row) -> Hashable:
    return row["family"], row["model"] if row["family"] == EXTERNAL else None


def _tied(first: Row, compared: Compared) -> list[Row]:
    """The first row and those that a test does not tell from it."""
    return [first, *(row for row, found in compared if found and not found.distinguishable)]


def _ranking(table: Table, first: Row, compared: Compared, called: Callable[[Row], str]) -> str:
    score, on = table.deciding, table.deciding.name(table.features)
    ties = [(row, found) for row, found in compared if found and not found.distinguishable]
    if ties:
        behind = [called(row) for row, found in compared if found and found.distinguishable]
        rest = f", ahead of {_list(behind)}" if behind else ""
        names = _list([f"{called(row)} at {score.text(row)} ({p_value(found.p)})" for row, found in ties])
        tests = " or ".join(dict.fromkeys(found.test for _, found in ties))
        what = "model" if called is _model else "family"
        return (
            f"No single {what} wins on {on}: {called(first)} at {score.text(first)} is not distinguishable from "
            f"{names}{rest}, by {tests} at alpha = {ALPHA}."
        )
    second, found = compared[0]
    gap = number(score.rank(second) - score.rank(first))
    follows = f"{score.text(first)}; {called(second)} follows at {score.text(second)}, {gap} behind"
    if found is None:
        return f"{called(first)} leads on {on} with {follows}; without standard errors no test can confirm it."
    return f"{called(first)} wins on {on} with {follows} ({p_value(found.p)} by {found.test})."


def _caution(comparisons: Sequence[Comparison | None]) -> list[str]:
    tests = {found.test if found else None for found in comparisons}
    sentences = []
    if None in tests:
        sentences.append("Some models were sampled once, without a standard error: their ranks may be chance.")
    if tests - {None, TRAININGS}:
        whose = "" if tests == {SAMPLES} else " of a model trained with one seed"
        sentences.append(
            f"The standard error{whose} covers the drawing of samples alone: another training may rank differently."
        )
    return sentences


def _cost(winners: Sequence[Row], rivals: Sequence[Row], called: Callable[[Row], str]) -> list[str]:
    """What each winner costs, and how that compares with the cheapest rival."""
    sentences = []
    for row in winners:
        training = _spent(row, rivals, lambda row: row["train_seconds"], "of training")
        sampling = _spent(row, rivals, lambda row: row["sample_seconds_per_1k"], "to sample 1,000 images")
        if facts := [fact for fact in (training, sampling) if fact]:
            size = f" has {count(row['params'])} parameters and" if row["params"] else ""
            sentences.append(f"{called(row)}{size} takes {' and '.join(facts)}.")
    return sentences


def _spent(row: Row, rivals: Sequence[Row], cost: Callable[[Row], float | None], what: str) -> str | None:
    own = cost(row)
    known = [(value, other) for other in rivals if (value := cost(other))]
    if not own or not known:
        return None
    least, cheapest = min(known, key=lambda pair: pair[0])
    if own == least:
        return f"{duration(own)} {what} (the least)"
    ratio = own / least
    return f"{duration(own)} {what} ({ratio:,.{decimals(ratio, 2)}f} times {cheapest['model']})"


def _copies(table: Table) -> list[str]:
    """Which models copy their training images, and whether the control that does was found out."""
    told = []
    for row in table.scored:
        shown = copying(row, table.real)
        if shown and not is_control(row):
            told.append(f"{_name(row)} copies its training images: {shown}.")
    copy = table.controls.get("train copy")
    if copy is not None and measured(copy):
        shown = copying(copy, table.real)
        told.append(
            f"The control that copies the training images is found out: {shown}."
            if shown
            else "The control that copies the training images is not found out: these scores cannot show copying here."
        )
    return told


def _scale(table: Table) -> list[str]:
    score = table.deciding
    known = [(words, score.of(table.controls[model])) for model, words in SCALE.items() if model in table.controls]
    parts = [f"{words} {number(value)}" for words, value in known if value is not None]
    against = " against the same reference" if score is DISTANCE else ""
    return [f"For scale: {_list(parts)}{against}."] if parts else []


def _without_rank(table: Table) -> list[str]:
    sentences = []
    for rows, why in ((table.failed, "failed"), (table.unjudged, "not judged")):
        if rows:
            verb = "has" if len(rows) == 1 else "have"
            were = "" if why == "failed" else "is " if len(rows) == 1 else "are "
            sentences.append(f"{_list([_name(row) for row in rows])} {were}{why} and {verb} no rank.")
    return sentences


def _model(row: Row) -> str:
    return row["model"]


def _name(row: Row) -> str:
    return row["model"] if row["model"] == row["family"] else f"{row['model']} ({row['family']})"


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
