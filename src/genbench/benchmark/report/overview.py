"""One picture of every model's samples under the real images, for a README."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genbench.benchmark.report.grids import BLANK, Layout, arrange, sheet, shrink
from genbench.benchmark.report.page import Images, Labels, ModelPage
from genbench.benchmark.report.palette import FAMILIES, OTHER
from genbench.core.files import write_atomically

WIDTH = 860  # what a README shows without shrinking
LABEL = 146  # left of the images: model and family
MARGIN = 12
GAP = 2
ROWS = 2


def write_overview_png(path: Path, models: Sequence[ModelPage], real: Images) -> None:
    """Writes one strip of images per model, the real ones on top, labelled by model and family.

    Raises:
        RunError: the file cannot be written.
    """
    strips = [("real", "images", FAMILIES["control"].colour, strip(real, None))] if len(real) else []
    for page in models:
        if len(page.samples):
            family = page.row["family"]
            colour = FAMILIES.get(family, OTHER).colour
            strips.append((page.row["model"], family, colour, strip(page.samples, page.labels)))
    height = MARGIN + sum(image.height + MARGIN for *_, image in strips)
    canvas = Image.new("RGB", (WIDTH, height), "white")
    draw, y = ImageDraw.Draw(canvas), MARGIN
    for model, family, colour, image in strips:
        draw.rectangle((MARGIN, y, MARGIN + 4, y + image.height - 1), fill=colour)
        draw.text((MARGIN + 14, y + 8), model, fill="black", font=_font(16))
        draw.text((MARGIN + 14, y + 32), family, fill="#555555", font=_font(12))
        canvas.paste(image, (LABEL, y), image.getchannel("A"))
        y += image.height + MARGIN
    buffer = io.BytesIO()
    canvas.save(buffer, format="PNG", optimize=True)
    write_atomically(path, buffer.getvalue())


def strip(images: Images, labels: Labels | None) -> Image.Image:
    """Two rows of up to twenty images, classes cycling along the row where labels are known."""
    images = shrink(images)
    factor = max(1, 32 // images.shape[2])
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    columns = min(20, (WIDTH - LABEL - MARGIN) // (images.shape[2] + GAP) // 10 * 10)
    order = arrange(len(images), labels, rows=ROWS * columns // 10).index.ravel()
    index = np.full(ROWS * columns, BLANK, dtype=np.int64)
    shown = order[order != BLANK][: ROWS * columns]
    index[: len(shown)] = shown
    return sheet(images, Layout(index.reshape(ROWS, columns), None), GAP)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The sans-serif font that matplotlib brings along, so the picture is the same everywhere."""
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
