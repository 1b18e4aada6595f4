"""How hard the scenes of a dataset are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from genbench.core import ConfigError
from genbench.shapes.claim import RELATIONS, SIZES
from genbench.shapes.combinations import Combination, read_combination
from genbench.shapes.outlines import OUTLINES
from genbench.shapes.palette import COLOURS

SIDES = (16, 32, 64)


@dataclass(frozen=True)
class Difficulty:
    """What the scenes of a dataset are made of.

    `side` is in pixels, 16, 32 or 64; `most` is the largest number of objects in a picture, 1 to 5. `sizes` are of
    `small`, `large`; captions mention sizes where there are both. `relations` are of `above`, `below`, `left of`,
    `right of`. `held_out` are combinations that no training picture shows: a colour and a shape (`blue triangle`), or
    two shapes and a relation between them (`circle above square`).

    Raises:
        ConfigError: a word that is not known, small objects at 16 pixels, or too little to tell apart.
    """

    side: int
    colours: Sequence[str]
    shapes: Sequence[str]
    sizes: Sequence[str]
    most: int
    relations: Sequence[str]
    held_out: Sequence[str]

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise ConfigError(f"difficulty.side is {self.side}; expected 16, 32 or 64 pixels")
        if not 1 <= self.most <= 5:
            raise ConfigError(f"difficulty.most is {self.most}; expected 1 to 5 objects in a picture")
        _known("colours", self.colours, COLOURS, least=2)
        _known("shapes", self.shapes, OUTLINES, least=2)
        _known("sizes", self.sizes, SIZES, least=1)
        _known("relations", self.relations, RELATIONS, least=0)
        if self.side < 32 and "small" in self.sizes:
            raise ConfigError(
                f"small objects of a picture of {self.side} pixels are three pixels wide, too few to tell shapes "
                "apart: type difficulty.sizes=[large] or difficulty.side=32"
            )
        self._check_what_is_left()

    @cached_property
    def kept_back(self) -> frozenset[Combination]:
        """The combinations that `held_out` names."""
        return frozenset(map(read_combination, self.held_out))

    def _check_what_is_left(self) -> None:
        pairs = {pair for pair in self.kept_back if len(pair) == 2}
        for colour in self.colours:
            if all((colour, shape) in pairs for shape in self.shapes):
                raise ConfigError(f"difficulty.held_out leaves no {colour} shape to train on: hold out fewer of them")
        for shape in self.shapes:
            if all((colour, shape) in pairs for colour in self.colours):
                raise ConfigError(f"difficulty.held_out leaves no {shape} to train on: hold out fewer of them")
        known = {*self.colours, *self.shapes, *self.relations}
        for text, combination in zip(self.held_out, map(read_combination, self.held_out), strict=True):
            missing = [word for word in combination if word not in known]
            if missing:
                raise ConfigError(
                    f"difficulty.held_out names {text!r}, but these scenes have no {missing[0]}: add it, or leave out "
                    "the combination"
                )


def _known(field: str, words: Sequence[str], all_words: Iterable[str], least: int) -> None:
    known = list(all_words)
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(str(word), known, 1)
            raise ConfigError(
                f"difficulty.{field} has {word!r}; expected some of {', '.join(known)}"
                f"{f'; did you mean {near[0]}?' if near else ''}"
            )
    if len(set(words)) != len(words) or len(words) < least:
        raise ConfigError(f"difficulty.{field} is {list(words)}; expected at least {least}, each once")
