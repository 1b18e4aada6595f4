"""Says whether a picture shows what its caption asserts, and why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from torch import Tensor

from genbench.shapes.claim import Claim, Group
from genbench.shapes.grammar import COUNTS, PLURALS, OutsideGrammarError, parse
from genbench.shapes.objects import Object, stands
from genbench.shapes.outlines import OUTLINES
from genbench.shapes.palette import COLOURS
from genbench.shapes.reader import Blob, read


@dataclass(frozen=True)
class Verdict:
    """Whether a picture is right, None if its caption cannot be judged, and the reason in words.

    `claim` is what the caption asserts, None where it is outside the grammar.
    """

    ok: bool | None
    reason: str
    claim: Claim | None


class Checker:
    """Judges pictures by captions of the grammar; it looks for these colours and shapes and no others.

    Exact on pictures as they are drawn, and lenient with soft ones: see `read`. `Claim` says when a claim is shown.
    """

    def __init__(self, colours: Iterable[str] = tuple(COLOURS), shapes: Iterable[str] = tuple(OUTLINES)) -> None:
        self.colours, self.shapes = tuple(colours), tuple(shapes)

    @classmethod
    def of_captions(cls, captions: Iterable[str]) -> Checker:
        """A checker for the colours and shapes that the captions mention; for all where they mention none."""
        words = {word for caption in set(captions) for word in caption.lower().removesuffix(".").split()}
        singular = {PLURALS[shape]: shape for shape in OUTLINES}
        named = {singular.get(word, word) for word in words}
        colours, shapes = [c for c in COLOURS if c in named], [s for s in OUTLINES if s in named]
        return cls(colours or COLOURS, shapes or OUTLINES)

    def __call__(self, image: Tensor, caption: str) -> Verdict:
        """The verdict on a picture uint8 [3,S,S]."""
        try:
            claim = parse(caption)
        except OutsideGrammarError as error:
            return Verdict(None, f"cannot judge: {error}", None)
        reason = self._wrong(read(image.numpy(), self.colours, self.shapes), claim)
        return Verdict(reason is None, reason or "as the caption says", claim)

    def _wrong(self, blobs: Sequence[Blob], claim: Claim) -> str | None:
        """What is wrong with a picture of these, or None."""
        blurred = [blob for blob in blobs if blob.thing is None]
        if blurred:
            colour = blurred[0].colour
            return f"{colour} pixels have no known shape" if colour else "some pixels have none of the colours"
        things = [blob.thing for blob in blobs if blob.thing is not None]
        told = f"shows {_listed(things)}"
        if len(things) != claim.objects:
            return f"{told}: {len(things)} objects instead of {claim.objects}"
        ways = list(_assignments(things, claim.groups))
        if not ways:
            wanted = " and ".join(map(_named, claim.groups))
            return f"{told} instead of {wanted}"
        relation = claim.relation
        if relation is not None and not any(
            all(stands(a, relation, b) for a in first for b in second) for first, second in ways
        ):
            return f"{told}, but {_named(claim.groups[0])} not {relation} {_named(claim.groups[1])}"
        return None


def _assignments(things: Sequence[Object], groups: Sequence[Group]) -> Iterable[tuple[list[Object], list[Object]]]:
    """Every way to share out the things between the first group and the second, if there is one."""
    for chosen in combinations(range(len(things)), groups[0].count):
        first = [things[i] for i in chosen]
        rest = [thing for i, thing in enumerate(things) if i not in chosen]
        shares = (first, rest)
        if all(_fits(thing, group) for group, share in zip(groups, shares, strict=False) for thing in share):
            yield shares


def _fits(thing: Object, group: Group) -> bool:
    return thing.shape == group.shape and group.colour in (None, thing.colour) and group.size in (None, thing.size)


def _listed(things: Sequence[Object]) -> str:
    counted = Counter((thing.size, thing.colour, thing.shape) for thing in things)
    named = [_named(Group(number, shape, colour, size)) for (size, colour, shape), number in counted.items()]
    return " and ".join(named) or "nothing"


def _named(group: Group) -> str:
    shape = group.shape if group.count == 1 else PLURALS[group.shape]
    # a picture may show more than captions have words for
    count = COUNTS[group.count - 1] if group.count <= len(COUNTS) else str(group.count)
    return " ".join(word for word in (count, group.size, group.colour, shape) if word)
