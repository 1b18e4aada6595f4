"""The closed language of captions: claims to words with paraphrases, and words back to the claim.

    caption  = [frame] group [joint group]
    frame    = "a picture of" | "an image of"
    group    = count [size] [colour] shape          "two small red circles"
    count    = "a" | "an" | "one" | "two" | ... | "five"
    joint    = "and" | "with" | relation            "above", "over", "to the left of", ...

A joint that is a relation says where the first group lies from the second. One count of several takes the plural.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping
from functools import lru_cache

from genbench.shapes.claim import Claim, Group
from genbench.shapes.outlines import OUTLINES
from genbench.shapes.palette import COLOURS

FRAMES = ("", "a picture of", "an image of")
COUNTS = ("one", "two", "three", "four", "five")
SIZE_WORDS = {"small": ("small", "little"), "large": ("large", "big")}
RELATION_WORDS = {
    "above": ("above", "over"),
    "below": ("below", "under"),
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
}
JOINTS = ("and", "with")
PLURALS = {shape: "crosses" if shape == "cross" else f"{shape}s" for shape in OUTLINES}

_COUNT_OF = {word: number for number, word in enumerate(COUNTS, 1)} | {"a": 1, "an": 1}
_SIZE_OF = {word: size for size, words in SIZE_WORDS.items() for word in words}
_JOINT_OF: dict[str, str | None] = dict.fromkeys(JOINTS)
_JOINT_OF |= {phrase: name for name, phrases in RELATION_WORDS.items() for phrase in phrases}
WORDS = {
    word
    for phrase in (*FRAMES, *_COUNT_OF, *_SIZE_OF, *COLOURS, *OUTLINES, *PLURALS.values(), *_JOINT_OF)
    for word in phrase.split()
}
"""Every word a caption may have."""


class OutsideGrammarError(ValueError):
    """A text that is no caption of this grammar: what it asserts is not known, so no picture can be judged by it."""


def write(claim: Claim, rng: random.Random) -> str:
    """A caption of the claim, one of its paraphrases at random."""
    joint = rng.choice(JOINTS if claim.relation is None else RELATION_WORDS[claim.relation])
    groups = f" {joint} ".join(_written(group, rng) for group in claim.groups)
    return f"{rng.choice(FRAMES)} {groups}".strip()


def _written(group: Group, rng: random.Random) -> str:
    size = None if group.size is None else rng.choice(SIZE_WORDS[group.size])
    shape = group.shape if group.count == 1 else PLURALS[group.shape]
    words = [word for word in (size, group.colour, shape) if word is not None]
    article = "an" if words[0][0] in "aeiou" else "a"
    count = COUNTS[group.count - 1] if group.count > 1 else rng.choice((article, article, COUNTS[0]))
    return " ".join([count, *words])


@lru_cache(maxsize=2**17)
def parse(caption: str) -> Claim:
    """What a caption asserts; case, spaces and a final full stop do not matter.

    Raises:
        OutsideGrammarError: naming the word, or the place, that is not in the grammar.
    """
    words = caption.lower().strip().removesuffix(".").split()
    for word in words:
        if word not in WORDS:
            near = difflib.get_close_matches(word, sorted(WORDS), 1)
            raise OutsideGrammarError(f"{word!r} is no word of the captions{f'; {near[0]!r} is' if near else ''}")
    for frame in FRAMES[1:]:
        if words[: len(frame.split())] == frame.split():
            words = words[len(frame.split()) :]
    first, rest = _group(words)
    if not rest:
        return Claim((first,))
    relation, rest = _joint(rest)
    second, rest = _group(rest)
    if rest:
        raise OutsideGrammarError(f"{' '.join(rest)!r} follows where the caption should end")
    return Claim((first, second), relation)


def _group(words: list[str]) -> tuple[Group, list[str]]:
    """The group that `words` begin with, and the words after it."""
    rest = list(words)

    def taken(known: Mapping[str, object]) -> str | None:
        return rest.pop(0) if rest and rest[0] in known else None

    count = taken(_COUNT_OF)
    if count is None:
        raise OutsideGrammarError(f"{_at(rest)} stands where a count is expected, such as 'a' or 'two'")
    number, size, colour = _COUNT_OF[count], taken(_SIZE_OF), taken(COLOURS)
    nouns = {shape: shape for shape in OUTLINES} if number == 1 else {word: shape for shape, word in PLURALS.items()}
    noun = taken(nouns)
    if noun is None:
        raise OutsideGrammarError(f"{_at(rest)} stands where a shape is expected, such as {next(iter(nouns))!r}")
    return Group(number, nouns[noun], colour, None if size is None else _SIZE_OF[size]), rest


def _joint(words: list[str]) -> tuple[str | None, list[str]]:
    for phrase, relation in _JOINT_OF.items():
        parts = phrase.split()
        if words[: len(parts)] == parts:
            return relation, words[len(parts) :]
    raise OutsideGrammarError(f"{_at(words)} stands where a relation is expected, such as 'and' or 'above'")


def _at(words: list[str]) -> str:
    return repr(words[0]) if words else "the end"
