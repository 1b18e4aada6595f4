"""When a row counts as copying its training images."""

from __future__ import annotations

from genbench.benchmark.rows import Row, score

COPIES_BELOW = -3.0
"""C_T is a z statistic: below this, chance puts one honest model in a thousand."""

AUTHENTIC_SHARE = 0.5
"""Fewer authentic samples than this share of what real images have are far below it."""


def copying(row: Row, real: Row | None) -> str | None:
    """What shows that a row's images are copies of training images, in words; None where nothing does.

    Either is enough: C_T (Meehan et al., 2020) below -3, or less than half the authentic fraction (Alaa et al.,
    2022) of the control `real` judged under the same protocol, if there is one.
    """
    ct, auth = score(row, "ct"), score(row, "auth")
    authentic = score(real, "auth") if real is not None else None
    shown = []
    if ct is not None and ct < COPIES_BELOW:
        shown.append(f"C_T is {ct:.1f}, below {COPIES_BELOW:.0f}")
    if auth is not None and authentic is not None and auth < AUTHENTIC_SHARE * authentic:
        shown.append(f"{100 * auth:.0f} % is authentic against {100 * authentic:.0f} % of real images")
    return " and ".join(shown) or None


def measured(row: Row) -> bool:
    """Whether the row has a score that could show copying."""
    return score(row, "ct") is not None or score(row, "auth") is not None
