"""What stands under a table: what its ± is, and by which test models are told apart."""

from __future__ import annotations

from collections.abc import Sequence

from genbench.benchmark.compare import ALPHA
from genbench.benchmark.rows import Row

KINDS = {
    "training seeds": "the sample standard deviation over training seeds",
    "sampling seeds": "the sample standard deviation over sampling seeds",
    "bootstrap": "the standard error of one draw by resampling",
}

TEST = (
    f'"Not distinguishable": a two-sided test of two scores gives p >= {ALPHA}. It is Welch\'s t-test over training '
    "seeds or, where models were trained once, a bootstrap z-test (standard errors by the infinitesimal jackknife, the "
    "bootstrap's limit), which covers the drawing of samples alone."
)


def footnote(rows: Sequence[Row], key: str) -> str:
    """The ± of judged rows in words, and the test of the verdict over their scores of one key."""
    present = {_kind(row, key) for row in rows}
    kinds = [words for kind, words in KINDS.items() if kind in present]
    if not kinds:
        return "No ±: every model was trained and sampled once."
    return f"± is {', else '.join(kinds)}. {TEST}"


def _kind(row: Row, key: str) -> str | None:
    score = row["scores"].get(key)
    return row["spread"] or ("bootstrap" if score is not None and score["error"] is not None else None)
