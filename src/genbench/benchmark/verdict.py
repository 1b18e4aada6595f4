"""The benchmark's question answered in words: which family wins, by how much, at what cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genbench.benchmark.columns import count, decimals, distance_name, duration, number, p_value, plus_minus
from genbench.benchmark.compare import ALPHA, SAMPLES, TRAININGS, Comparison, compare
from genbench.benchmark.memorisation import copying, measured
from genbench.benchmark.rows import EXTERNAL, Row, deviation, is_control
from genbench.benchmark.tables import Table

SCALE = {
    "real": "real images score",
    "train copy": "a copy of the training images scores",
    "blur": "blurred images score",
    "one mode": "images of one mode score",
    "noise": "noise scores",
}
"""Controls in words, in the order they are told."""


def verdict(table: Table) -> list[str]:
    """Sentences about one table: the winner or the tie, its cost, copies, the scale of the numbers, the failures."""
    families = best_per_family(table.judged)
    if not families:
        if all(is_control(row) for row in table.rows):
            return ["Only controls were judged under this protocol.", *_copies(table)]
        return ["No model has a result to compare.", *_without_rank(table)]
    if len(families) == 1:
        only = families[0]
        opening = [f"Only {_name(only)} was judged, so nothing is ranked: {_distance(table)} {_interval(only)}."]
    else:
        opening = [*_ranking(table, families), *_cost(tied(families), families), *_caution(families)]
    return [*opening, *_copies(table), *_scale(table), *_without_rank(table)]


def best_per_family(judged: Sequence[Row]) -> list[Row]:
    """The model with the lowest Frechet distance of each family, best first, from rows in that order.

    Nothing is known of an external model's family, so each stands for itself.
    """
    best: dict[tuple[str, str | None], Row] = {}
    for row in judged:
        best.setdefault((row["family"], row["model"] if row["family"] == EXTERNAL else None), row)
    return list(best.values())


def tied(families: Sequence[Row]) -> list[Row]:
    """The first row and those that a test does not tell from it."""
    return [families[0], *(row for row, found in _compared(families) if found and not found.distinguishable)]


def _compared(families: Sequence[Row]) -> list[tuple[Row, Comparison | None]]:
    """Every further row with its comparison with the first."""
    return [(row, compare(families[0], row)) for row in families[1:]]


def _ranking(table: Table, families: Sequence[Row]) -> list[str]:
    first, second, compared = families[0], families[1], _compared(families)
    distance = _distance(table)
    ties = [(row, found) for row, found in compared if found and not found.distinguishable]
    if ties:
        behind = [_name(row) for row, found in compared if found and found.distinguishable]
        rest = f", ahead of {_list(behind)}" if behind else ""
        names = _list([f"{_name(row)} at {_interval(row)} ({p_value(found.p)})" for row, found in ties])
        tests = " or ".join(dict.fromkeys(found.test for _, found in ties))
        return [
            f"No single family wins on {distance}: {_name(first)} at {_interval(first)} is not distinguishable from "
            f"{names}{rest}, by {tests} at alpha = {ALPHA}."
        ]
    assert first["fd"] is not None
    assert second["fd"] is not None
    gap, found = number(second["fd"] - first["fd"]), compared[0][1]
    follows = f"{_interval(first)}; {_name(second)} follows at {_interval(second)}, {gap} behind"
    if found is None:
        return [f"{_name(first)} leads on {distance} with {follows}; without standard errors no test can confirm it."]
    return [f"{_name(first)} wins on {distance} with {follows} ({p_value(found.p)} by {found.test})."]


def _caution(families: Sequence[Row]) -> list[str]:
    tests = {found.test if found else None for _, found in _compared(families)}
    sentences = []
    if None in tests:
        sentences.append("Some models were sampled once, without a standard error: their ranks may be chance.")
    if tests - {None, TRAININGS}:
        whose = "" if tests == {SAMPLES} else " of a model trained with one seed"
        sentences.append(
            f"The standard error{whose} covers the drawing of samples alone: another training may rank differently."
        )
    return sentences


def _cost(winners: Sequence[Row], families: Sequence[Row]) -> list[str]:
    """What each winner costs, and how that compares with the cheapest family."""
    sentences = []
    for row in winners:
        training = _spent(row, families, lambda row: row["train_seconds"], "of training")
        sampling = _spent(row, families, lambda row: row["sample_seconds_per_1k"], "to sample 1,000 images")
        if facts := [fact for fact in (training, sampling) if fact]:
            size = f" has {count(row['params'])} parameters and" if row["params"] else ""
            sentences.append(f"{_name(row)}{size} takes {' and '.join(facts)}.")
    return sentences


def _spent(row: Row, families: Sequence[Row], cost: Callable[[Row], float | None], what: str) -> str | None:
    own = cost(row)
    known = [(value, other) for other in families if (value := cost(other))]
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
    known = [(words, table.controls[model]["fd"]) for model, words in SCALE.items() if model in table.controls]
    parts = [f"{words} {number(fd)}" for words, fd in known]
    return [f"For scale: {_list(parts)} against the same reference."] if parts else []


def _without_rank(table: Table) -> list[str]:
    sentences = []
    for rows, why in ((table.failed, "failed"), (table.unjudged, "not judged")):
        if rows:
            verb = "has" if len(rows) == 1 else "have"
            were = "" if why == "failed" else "is " if len(rows) == 1 else "are "
            sentences.append(f"{_list([_name(row) for row in rows])} {were}{why} and {verb} no rank.")
    return sentences


def _distance(table: Table) -> str:
    return distance_name(table.features)


def _interval(row: Row) -> str:
    return plus_minus(row["fd"], deviation(row, "fd"))


def _name(row: Row) -> str:
    return row["model"] if row["model"] == row["family"] else f"{row['model']} ({row['family']})"


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
