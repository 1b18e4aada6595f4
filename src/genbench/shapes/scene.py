"""Scenes with their captions, each a function of its number."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from genbench.core import ConfigError
from genbench.shapes.claim import SKILLS, Claim, Group
from genbench.shapes.combinations import asked, shown
from genbench.shapes.difficulty import Difficulty
from genbench.shapes.grammar import write
from genbench.shapes.layout import Area, halves, placed
from genbench.shapes.objects import RADII, Object

SAID = 0.75
"""How often a caption says the colours where its skill does not ask for them."""

GAP = 1.25
"""Pixels between the boxes of two objects: more than one, so that a pixel of background parts them."""

TRIES = 10_000
"""Scenes drawn in vain before a difficulty is called impossible."""

Part = Literal["seen", "held_out"]


@dataclass(frozen=True)
class Scene:
    """The objects of a picture, what its caption asserts of them, and the caption."""

    objects: tuple[Object, ...]
    claim: Claim
    caption: str


def skills(difficulty: Difficulty, part: Part) -> tuple[str, ...]:
    """The skills that the captions of a part ask for, in turn: those that its scenes have the objects and words for."""
    no = {"position"} if not difficulty.relations else set()
    if difficulty.most == 1:
        no |= set(SKILLS) - {"single_object", "colour"}
    if part == "held_out":
        pairs = any(len(combination) == 2 for combination in difficulty.kept_back)
        no |= {"single_object"} if pairs else set(SKILLS) - {"position"}
    return tuple(skill for skill in SKILLS if skill not in no)


def scene_of(
    difficulty: Difficulty, stream: str, index: int, part: Part = "seen", only: Sequence[str] | None = None
) -> Scene:
    """Scene number `index` of a stream: the same for ever, and independent of all other numbers and streams.

    The skills, or `only` some of them, take turns by number. In the part `seen` the picture shows no held-out
    combination; in the part `held_out` the caption names one.

    Raises:
        ConfigError: no such scene is found, because the objects do not fit or the combinations cannot be had.
    """
    rng = random.Random(f"{stream} {part} {index}")
    turns = skills(difficulty, part) if only is None else only
    skill = turns[index % len(turns)]
    for _ in range(TRIES):
        claim, groups = _drawn(difficulty, skill, rng)
        wanted = asked(claim) & difficulty.kept_back
        if bool(wanted) != (part == "held_out"):
            continue
        objects = _arranged(difficulty, claim.relation, groups, rng)
        if objects is not None and (part == "held_out" or not shown(objects) & difficulty.kept_back):
            return Scene(objects, claim, write(claim, rng))
    raise ConfigError(
        f"no scene was found that asks for {skill} and shows {'a' if part == 'held_out' else 'no'} held-out "
        "combination: hold out other combinations, or fewer, in difficulty.held_out"
    )


def _drawn(difficulty: Difficulty, skill: str, rng: random.Random) -> tuple[Claim, tuple[Group, ...]]:
    """A claim that asks for `skill`, and its groups with what it leaves open filled in."""
    pair = skill in ("two_objects", "position", "attribute_binding")
    shapes = rng.sample(difficulty.shapes, 1 + pair)
    colours = rng.sample(difficulty.colours, 1 + pair)
    if skill == "two_objects":
        colours[1] = colours[0]
    sizes = [rng.choice(difficulty.sizes) for _ in shapes]
    counts = _counts(difficulty.most, skill, rng)
    groups = tuple(map(Group, counts, shapes, colours, sizes))
    colour_said = skill in ("colour", "attribute_binding") or (skill != "single_object" and rng.random() < SAID)
    size_said = len(difficulty.sizes) > 1 and rng.random() < 0.5
    said = tuple(
        Group(group.count, group.shape, group.colour if colour_said else None, group.size if size_said else None)
        for group in groups
    )
    relation = rng.choice(difficulty.relations) if skill == "position" else None
    return Claim(said, relation), groups


def _counts(most: int, skill: str, rng: random.Random) -> list[int]:
    if skill == "counting":
        return [rng.randint(2, most)]
    if skill == "position" and most > 2 and rng.random() < 0.5:
        counts = [1, rng.randint(2, most - 1)]
        rng.shuffle(counts)
        return counts
    return [1, 1] if skill in ("two_objects", "position", "attribute_binding") else [1]


def _arranged(
    difficulty: Difficulty, relation: str | None, groups: Sequence[Group], rng: random.Random
) -> tuple[Object, ...] | None:
    """The objects of the groups at places that fit the relation; None if they found none."""
    gap = GAP / difficulty.side
    everywhere: Area = (0.0, 0.0, 1.0, 1.0)
    areas = [everywhere] * len(groups) if relation is None else halves(relation, rng.uniform(0.25, 0.75), gap)
    objects: list[Object] = []
    for group, area in zip(groups, areas, strict=True):
        for _ in range(group.count):
            radius = rng.uniform(*RADII[group.size or "large"])
            thing = placed(group.shape, group.colour or "", radius, area, objects, gap, rng)
            if thing is None:
                return None
            objects.append(thing)
    return tuple(objects)
