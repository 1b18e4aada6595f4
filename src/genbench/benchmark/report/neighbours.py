"""Sheets of samples beside their nearest training images, as a judgement drew them."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from genbench.benchmark.report.grids import Picture, data_uri

BUDGET = 500_000  # bytes of PNG over all sheets of a page
WIDE = 420  # pixels: a smaller sheet is magnified by a whole factor
CAPTION = "left of each pair: a sample; right: its nearest training image (in feature space); the closest pairs first"


def neighbour_sheets(sheets: Sequence[bytes | None], of: Sequence[str]) -> list[Picture | None]:
    """Pictures of PNG sheets, shrunk where all of them together would exceed the page's budget."""
    share = BUDGET // max(1, sum(sheet is not None for sheet in sheets))
    return [None if sheet is None else _picture(sheet, share, who) for sheet, who in zip(sheets, of, strict=True)]


def _picture(sheet: bytes, share: int, who: str) -> Picture:
    with Image.open(io.BytesIO(sheet)) as opened:
        image = opened.convert("L" if opened.mode in ("1", "L", "I;16") else "RGBA")
    width, height = image.size
    while len(_png(image)) > share and min(image.size) > 1:
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)), Image.Resampling.BOX)
    scale = max(1, WIDE // width)
    alt = f"samples of {who}, each beside its nearest training image"
    return Picture(data_uri(image), width * scale, height * scale, None, alt, pixelated=image.width == width)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
