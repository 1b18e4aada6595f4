"""Scenes: a function of their number, with what is held out never in training, inside the picture and apart."""

import itertools
import re
from collections import Counter
from dataclasses import replace

import pytest
from difficulties import NAMES, difficulty

from genbench.core import ConfigError
from genbench.shapes import SKILLS, Difficulty, scene_of, skills
from genbench.shapes.combinations import asked, shown
from genbench.shapes.objects import stands

TINY = Difficulty(16, ["red", "blue"], ["circle", "square"], ["large"], 2, ["above"], [])


def test_a_scene_depends_on_its_own_number_alone():
    backwards = [scene_of(TINY, "train", index) for index in reversed(range(50))][::-1]
    assert backwards == [scene_of(TINY, "train", index) for index in range(50)]
    assert len({scene.objects for scene in backwards}) == 50
    assert scene_of(TINY, "test", 3) != scene_of(TINY, "train", 3)


@pytest.mark.parametrize("name", NAMES)
def test_training_never_shows_and_held_out_captions_always_name_a_combination(name):
    rules = difficulty(name)
    assert len(rules.kept_back) == len(rules.held_out) > 0
    found = set()
    for index in range(2000):
        assert not shown(scene_of(rules, "train", index).objects) & rules.kept_back
    for index in range(400):
        scene = scene_of(rules, "test", index, "held_out")
        assert asked(scene.claim) & rules.kept_back <= shown(scene.objects)
        found |= asked(scene.claim) & rules.kept_back
    assert found == rules.kept_back


@pytest.mark.parametrize("name", NAMES)
def test_objects_are_inside_apart_and_stand_as_said(name):
    rules = difficulty(name)
    counts: Counter[int] = Counter()
    for index in range(1200):
        scene = scene_of(rules, "train", index)
        counts[len(scene.objects)] += 1
        for thing in scene.objects:
            assert min(thing.box) >= 0.0
            assert max(thing.box) <= 1.0
        for a, b in itertools.combinations(scene.objects, 2):
            (l1, t1, r1, b1), (l2, t2, r2, b2) = a.box, b.box
            assert rules.side * max(l2 - r1, l1 - r2, t2 - b1, t1 - b2) > 1.0
        if scene.claim.relation is not None:
            n = scene.claim.groups[0].count
            for a, b in itertools.product(scene.objects[:n], scene.objects[n:]):
                assert stands(a, scene.claim.relation, b)
    assert set(counts) == set(range(1, rules.most + 1))


@pytest.mark.parametrize("name", NAMES)
def test_the_skills_take_turns(name):
    rules = difficulty(name)
    assert [scene_of(rules, "train", i).claim.skill for i in range(12)] == [*SKILLS, *SKILLS]
    assert skills(rules, "held_out") == SKILLS[1:]
    assert skills(replace(rules, relations=[], held_out=["red square"]), "seen") == (*SKILLS[:4], SKILLS[5])
    assert skills(replace(rules, most=1, held_out=["red square"]), "held_out") == ("colour",)
    assert skills(replace(rules, held_out=["square above circle"]), "held_out") == ("position",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"side": 24}, "side is 24; expected 16, 32 or 64"),
        ({"most": 6}, "most is 6; expected 1 to 5"),
        ({"shapes": ["circle", "sqare"]}, "shapes has 'sqare'; expected some of circle.*did you mean square?"),
        ({"colours": ["red"]}, r"colours is \['red'\]; expected at least 2, each once"),
        ({"sizes": ["small"]}, "too few to tell shapes apart: type difficulty.sizes=[large]"),
        ({"held_out": ["red elephant"]}, "'red elephant' is no combination that can be held out"),
        ({"held_out": ["red star"]}, "names 'red star', but these scenes have no star"),
        ({"held_out": ["circle below square"]}, None),
        ({"held_out": ["circle left of square"]}, "have no left of"),
        ({"held_out": ["red circle", "red square"]}, "leaves no red shape to train on"),
        ({"held_out": ["red circle", "blue circle"]}, "leaves no circle to train on"),
    ],
)
def test_a_difficulty_that_cannot_be_drawn_is_refused(change, told):
    if told is None:
        assert replace(TINY, **change).kept_back == {("square", "above", "circle")}
        return
    with pytest.raises(ConfigError, match=told if "\\" in told or ".*" in told else re.escape(told)):
        replace(TINY, **change)


def test_combinations_that_leave_nothing_to_draw_are_told():
    every = replace(TINY, held_out=["circle above square", "square above circle"])
    with pytest.raises(ConfigError, match="no scene was found that asks for position and shows no held-out"):
        scene_of(every, "train", SKILLS.index("position"))
