"""What the page shows of each model: its samples once, its numbers under every protocol it was judged by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from genbench.benchmark.columns import count, duration, number, percent, why_not, with_deviation
from genbench.benchmark.deciding import DISTANCE, deciding
from genbench.benchmark.report.captioned import captioned
from genbench.benchmark.report.grids import picture, rows_within
from genbench.benchmark.report.neighbours import BUDGET, CAPTION, neighbour_sheets
from genbench.benchmark.report.page import ModelPage, Sheet
from genbench.benchmark.report.palette import FAMILIES, OTHER
from genbench.benchmark.rows import Row
from genbench.benchmark.tables import sampler_in_words

PIXELS = 1_800_000 - BUDGET  # bytes; as base64 they keep the page under 3 MB even if nothing compresses


def articles(pages: Sequence[ModelPage], real: Mapping[str, Sheet]) -> list[dict[str, Any]]:
    """One article per run and way to draw from it, in the order of the pages, with a judgement per page."""
    groups: dict[Any, list[ModelPage]] = {}
    for page in pages:
        row = page.row
        way = (json.dumps(row["sampler"], sort_keys=True), row["weights"])
        groups.setdefault((row["model"], row["run"] or id(page), way), []).append(page)
    firsts = [_shown(group) for group in groups.values()]
    shown = [images for page in firsts for images in _sheets(page, real) if len(images)]
    sheet_rows = rows_within(PIXELS, [images.shape for images in shown])
    drawn = iter(neighbour_sheets([page.neighbours for page in pages], [page.row["model"] for page in pages]))
    neighbours = {id(page): next(drawn) for page in pages}
    return [_article(group, real, sheet_rows, neighbours) for group in groups.values()]


def _shown(group: Sequence[ModelPage]) -> ModelPage:
    """The page whose samples stand for all of the same: the best that has any."""
    return next((page for page in group if len(page.samples)), group[0])


def _sheets(page: ModelPage, real: Mapping[str, Sheet]) -> list[Any]:
    if not len(page.samples):
        return []
    return [page.samples, *([real[page.row["data"]][0]] if page.row["data"] in real else [])]


def _article(
    group: Sequence[ModelPage], real: Mapping[str, Sheet], sheet_rows: int, neighbours: Mapping[int, Any]
) -> dict[str, Any]:
    page, row = _shown(group), group[0].row
    images, labels = real.get(row["data"], (page.samples[:0], None))
    return {
        "name": row["model"],
        "family": row["family"],
        "colour": FAMILIES.get(row["family"], OTHER).colour,
        "failed": row["status"] == "failed",
        "error": None if row["status"] == "ok" else why_not(row, 400),
        "runs": row["runs"],
        "samples": picture(page.samples, page.labels, sheet_rows, f"samples of {row['model']}"),
        "captioned": captioned(page.samples, page.told),
        "real": picture(images, labels, sheet_rows, "real images"),
        "caption": CAPTION,
        "judgements": [
            {"protocol": one.row["protocol"], "facts": _facts(one.row), "neighbours": neighbours[id(one)]}
            for one in group
            if one.row["status"] == "ok"
        ],
    }


def _facts(row: Row) -> list[tuple[str, str]]:
    score = deciding([row])
    facts = [(score.name(row["features"]), score.text(row))]
    summary = row["scores"].get(score.key)
    if summary is not None and summary["interval"] is not None:
        low, high = summary["interval"]
        facts.append(("95 % interval", f"{number(low)} to {number(high)}"))
    if score is DISTANCE:
        facts.append(("accuracy", percent(row["accuracy"])))
    else:
        facts.append(("held out", with_deviation(row, "overall_held_out")))
        facts.append((DISTANCE.name(row["features"]), DISTANCE.text(row)))
    facts += [
        ("parameters", count(row["params"])),
        ("training", duration(row["train_seconds"])),
        ("images seen", count(row["images"])),
        ("sampling, per 1,000 images", duration(row["sample_seconds_per_1k"])),
    ]
    if row["sampler"]:
        facts.append(("sampler", sampler_in_words(row["sampler"])))
    if row["weights"]:
        facts.append(("weights", {"ema": "averaged (EMA)"}.get(row["weights"], row["weights"])))
    if row["checkpoints_tried"]:
        facts.append(("checkpoints compared", count(row["checkpoints_tried"])))
    return facts
