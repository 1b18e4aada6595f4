"""Samples one by one, each with its prompt and whether it shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genbench.benchmark.report.grids import data_uri, shrink, tile
from genbench.benchmark.report.page import Images, Told

MOST = 24
SIDE = 96  # pixels on the page


def captioned(images: Images, told: Sequence[Told]) -> list[dict[str, Any]]:
    """The first samples ready for the page."""
    first = shrink(images[:MOST], SIDE)
    return [
        {"uri": data_uri(tile(image)), "side": SIDE, "prompt": one.prompt, "ok": one.ok, "verdict": one.verdict}
        for image, one in zip(first, told, strict=False)
    ]
