"""When a row counts as copying its training images."""

from __future__ import annotations

from genbench.benchmark.rows import Row, score

COPIES_BELOW = -3.0
"""C_T is a z statistic: below this, chance puts one honest model in a thousand."""

AUTHENTIC_SHARE = 0.5
"""Fewer authentic samples than this share of what real images have are far below it."""

AUTHENTIC_EXPECTED = 0.5
"""Where no real images were judged under the same protocol: a new image is authentic about as often as not."""


def copying(row: Row, real: Row | None) -> str | None:
    """What shows that a row's images are copies of training images, in words; None where nothing does.

    C_T (Meehan et al., 2020) below -3, and less than half the authentic fraction (Alaa et al., 2022) of the control
    `real` under the same protocol. Either alone may mean samples that are merely too typical, as a VAE's are: C_T is a
    z statistic, which grows with their number.
    """
    ct, auth = score(row, "ct"), score(row, "auth")
    if ct is None or auth is None:
        return None
    known = score(real, "auth") if real is not None else None
    authentic = AUTHENTIC_EXPECTED if known is None else known
    if ct >= COPIES_BELOW or auth >= AUTHENTIC_SHARE * authentic:
        return None
    whose = "expected" if known is None else "of real images"
    return (
        f"C_T is {ct:.1f}, below {COPIES_BELOW:.0f} and {100 * auth:.0f} % is authentic against "
        f"{100 * authentic:.0f} % {whose}"
    )


def measured(row: Row) -> bool:
    """Whether the row has the scores that could show copying."""
    return score(row, "ct") is not None and score(row, "auth") is not None
