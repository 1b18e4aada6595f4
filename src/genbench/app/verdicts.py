"""Whether pictures show what they were asked to show, for runs on data that a checker can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genbench.app.build import build
from genbench.shapes import Checker, Verdict

MARKS = {True: "\N{CHECK MARK}", False: "\N{BALLOT X}", None: "?"}


def checker_of(config: Mapping[str, Any]) -> Checker | None:
    """The checker of a run's config, None for data whose pictures it cannot read."""
    difficulty = config["data"].get("difficulty")
    if difficulty is None:
        return None
    scenes = build(difficulty)
    return Checker(scenes.colours, scenes.shapes)


def in_words(verdict: Verdict) -> str:
    """A verdict in one line."""
    return f"{MARKS[verdict.ok]} {verdict.reason}"
