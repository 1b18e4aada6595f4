"""Combinations of attributes: what a caption asks for together, and what a picture shows together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from genbench.core import ConfigError
from genbench.shapes.claim import OPPOSITE, Claim
from genbench.shapes.grammar import RELATION_WORDS
from genbench.shapes.objects import Object, stands
from genbench.shapes.outlines import OUTLINES
from genbench.shapes.palette import COLOURS

Combination = tuple[str, ...]
"""(colour, shape), or (shape, `above` or `left of`, shape)."""


def asked(claim: Claim) -> set[Combination]:
    """The combinations that a claim names."""
    found: set[Combination] = {(group.colour, group.shape) for group in claim.groups if group.colour is not None}
    if claim.relation is not None:
        found.add(_related(claim.groups[0].shape, claim.relation, claim.groups[1].shape))
    return found


def shown(objects: Sequence[Object]) -> set[Combination]:
    """The combinations that a picture shows, whether or not its caption speaks of them."""
    found: set[Combination] = {(thing.colour, thing.shape) for thing in objects}
    for a, b in permutations(objects, 2):
        found |= {(a.shape, relation, b.shape) for relation in ("above", "left of") if stands(a, relation, b)}
    return found


def read_combination(text: str) -> Combination:
    """The combination that `blue triangle` or `circle above square` names.

    Raises:
        ConfigError: another kind of phrase.
    """
    words = text.split()
    if len(words) == 2 and words[0] in COLOURS and words[1] in OUTLINES:
        return words[0], words[1]
    relation = " ".join(words[1:-1])
    if len(words) > 2 and words[0] in OUTLINES and relation in RELATION_WORDS and words[-1] in OUTLINES:
        return _related(words[0], relation, words[-1])
    raise ConfigError(
        f"{text!r} is no combination that can be held out; expected a colour and a shape, such as 'blue triangle', or "
        "two shapes and a relation, such as 'circle above square'"
    )


def _related(first: str, relation: str, second: str) -> Combination:
    """One name for `a above b` and `b below a`."""
    if relation in ("above", "left of"):
        return first, relation, second
    return second, OPPOSITE[relation], first
