"""When a row counts as copying its training images."""

from __future__ import annotations

from genbench.benchmark.rows import Row, score

COPIES_BELOW = -3.0
"""C_T is a z statistic: below this, chance puts one honest model in a thousand."""

AUTHENTIC_SHARE = 0.5
"""Fewer authentic samples than this share of what real images have are far below it."""


def copying(row: Row, real: Row | None) -> str | None:
    """What shows that a row's images are copies of training images, in words; None where nothing does.

    C_T (Meehan et al., 2020) below -3, and less than half the authentic fraction (Alaa et al., 2022) of the control
    `real` under the same protocol. Either alone may mean samples that are merely too typical, as a VAE's are;
    where one was not measured, the other decides.
    """
    ct, auth = score(row, "ct"), score(row, "auth")
    authentic = score(real, "auth") if real is not None else None
    signs = []
    if ct is not None:
        signs.append(f"C_T is {ct:.1f}, below {COPIES_BELOW:.0f}" if ct < COPIES_BELOW else None)
    if auth is not None and authentic is not None:
        far = auth < AUTHENTIC_SHARE * authentic
        told = f"{100 * auth:.0f} % is authentic against {100 * authentic:.0f} % of real images"
        signs.append(told if far else None)
    shown = [sign for sign in signs if sign is not None]
    return " and ".join(shown) if shown and len(shown) == len(signs) else None


def measured(row: Row) -> bool:
    """Whether the row has a score that could show copying."""
    return score(row, "ct") is not None or score(row, "auth") is not None
