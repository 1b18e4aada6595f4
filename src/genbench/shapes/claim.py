"""What a caption asserts."""

from __future__ import annotations

from dataclasses import dataclass

SKILLS = ("single_object", "two_objects", "counting", "colour", "position", "attribute_binding")
"""The skills of GenEval (Ghosh et al. 2023), one of which each caption asks for."""

SIZES = ("small", "large")
RELATIONS = ("above", "below", "left of", "right of")
OPPOSITE = {"above": "below", "below": "above", "left of": "right of", "right of": "left of"}


@dataclass(frozen=True)
class Group:
    """So many objects of one shape; a colour or size of None is left open."""

    count: int
    shape: str
    colour: str | None = None
    size: str | None = None


@dataclass(frozen=True)
class Claim:
    """One or two groups, and where the first lies from the second if that is said.

    A picture shows a claim if its objects, each used once and none left over, fill the groups: as many as the count,
    of the shape, and of the colour and the size where these are said. With a relation, every object of the first group
    must stand so to every object of the second. What is not said may be anything.
    """

    groups: tuple[Group, ...]
    relation: str | None = None

    @property
    def objects(self) -> int:
        """How many objects a picture must have."""
        return sum(group.count for group in self.groups)

    @property
    def skill(self) -> str:
        """The one skill that the claim asks for.

        `position` with a relation; of other pairs, `attribute_binding` if their colours differ and `two_objects` if
        not; of single groups, `counting` if there are several objects, `colour` if it is said, or `single_object`.
        """
        first, last = self.groups[0], self.groups[-1]
        if self.relation is not None:
            return "position"
        if len(self.groups) > 1:
            return "attribute_binding" if first.colour != last.colour else "two_objects"
        if first.count > 1:
            return "counting"
        return "single_object" if first.colour is None else "colour"
