"""The benchmark's question answered in words: which family wins, by how much, at what cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genbench.benchmark.columns import count, decimals, distance_name, duration, number, plus_minus
from genbench.benchmark.rows import Row, is_control
from genbench.benchmark.statistics import distinguishable
from genbench.benchmark.tables import Table


def verdict(table: Table) -> list[str]:
    """Sentences about one table: the winner or the tie, its cost, the scale of the numbers, the failures."""
    families = best_per_family(table.judged)
    if not families:
        if all(is_control(row) for row in table.rows):
            return ["Only controls were judged under this protocol."]
        return ["No model has a result to compare.", *_failures(table)]
    if len(families) == 1:
        only = families[0]
        opening = [
            f"Only {_name(only)} was judged, so nothing is ranked: {_distance(table)} {_interval(only)}.",
        ]
    else:
        opening = [*_ranking(table, families), *_cost(tied(families), families), *_caution(families)]
    return [*opening, *_scale(table, families[0]), *_failures(table)]


def best_per_family(judged: Sequence[Row]) -> list[Row]:
    """The model with the lowest Frechet distance of each family, best first, from rows in that order."""
    best: dict[str, Row] = {}
    for row in judged:
        best.setdefault(row["family"], row)
    return list(best.values())


def tied(families: Sequence[Row]) -> list[Row]:
    """The first row and those whose intervals overlap with its own."""
    first = families[0]
    return [first, *(row for row in families[1:] if not _apart(first, row))]


def _apart(a: Row, b: Row) -> bool:
    assert a["fd"] is not None
    assert b["fd"] is not None
    return distinguishable(a["fd"], a["fd_std"], b["fd"], b["fd_std"])


def _ranking(table: Table, families: Sequence[Row]) -> list[str]:
    first, second, ties = families[0], families[1], tied(families)
    assert first["fd"] is not None
    assert second["fd"] is not None
    distance = _distance(table)
    if len(ties) > 1:
        names = _list([f"{_name(row)} at {_interval(row)}" for row in ties])
        rest = f", ahead of {_list([_name(r) for r in families if r not in ties])}" if families != ties else ""
        return [f"No single family wins on {distance}: {names} are not distinguishable, their intervals overlap{rest}."]
    gap = number(second["fd"] - first["fd"])
    return [
        f"{_name(first)} wins on {distance} with {_interval(first)}; {_name(second)} follows at "
        f"{_interval(second)}, {gap} behind, and their intervals do not overlap."
    ]


def _caution(families: Sequence[Row]) -> list[str]:
    spreads = {row["spread"] for row in families}
    if spreads == {"training seeds"}:
        return []
    if None in spreads:
        return ["Some models were sampled only once: without a ± their ranks may be chance."]
    return [
        "The ± covers sampling alone where a model was trained with one seed: another training may rank differently."
    ]


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


def _scale(table: Table, first: Row) -> list[str]:
    parts = []
    for model, words in (("real", "real images score"), ("noise", "noise scores")):
        if model in table.controls:
            parts.append(f"{words} {number(table.controls[model]['fd'])}")
    return [f"For scale: {' and '.join(parts)} against the same reference."] if parts else []


def _failures(table: Table) -> list[str]:
    if not table.failed:
        return []
    verb = "has" if len(table.failed) == 1 else "have"
    return [f"{_list([_name(row) for row in table.failed])} failed and {verb} no rank."]


def _distance(table: Table) -> str:
    return distance_name(table.features)


def _interval(row: Row) -> str:
    return plus_minus(row["fd"], row["fd_std"])


def _name(row: Row) -> str:
    return row["model"] if row["model"] == row["family"] else f"{row['model']} ({row['family']})"


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
