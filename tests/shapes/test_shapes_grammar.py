"""Captions and claims: every caption says what it was written from, and nothing else is understood."""

import random

import pytest
from difficulties import NAMES, difficulty

from genbench.shapes import Claim, Group, OutsideGrammarError, parse, scene_of, write
from genbench.shapes.grammar import WORDS

PAIR = (Group(1, "circle", "red", "small"), Group(2, "square", "blue"))


@pytest.mark.parametrize("name", NAMES)
def test_every_caption_says_the_claim_it_was_written_from(name):
    for index in range(3000):
        scene = scene_of(difficulty(name), "round trip", index)
        assert parse(scene.caption) == scene.claim
        assert set(scene.caption.split()) <= WORDS


@pytest.mark.parametrize(
    ("caption", "claim"),
    [
        ("a small red circle above two blue squares", Claim(PAIR, "above")),
        ("An image of one little red circle over two blue squares.", Claim(PAIR, "above")),
        ("a picture of a small red circle to the left of two blue squares", Claim(PAIR, "left of")),
        ("a small red circle and two blue squares", Claim(PAIR)),
        ("an orange star", Claim((Group(1, "star", "orange"),))),
        ("five big crosses", Claim((Group(5, "cross", None, "large"),))),
    ],
)
def test_captions_a_person_may_type(caption, claim):
    assert parse(caption) == claim


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("a purple elephant", "'elephant' is no word of the captions"),
        ("a red cirle", "'cirle' is no word of the captions; 'circle' is"),
        ("two red circle", "'circle' stands where a shape is expected, such as 'circles'"),
        ("a red", "the end stands where a shape is expected, such as 'circle'"),
        ("red circle", "'red' stands where a count is expected"),
        ("a circle a square", "'a' stands where a relation is expected"),
        ("a circle and a square and a star", "'and a star' follows where the caption should end"),
        ("", "the end stands where a count is expected"),
    ],
)
def test_what_is_outside_the_grammar_is_named(caption, told):
    with pytest.raises(OutsideGrammarError, match=told):
        parse(caption)


def test_a_claim_has_several_captions():
    written = {write(Claim(PAIR, "above"), random.Random(seed)) for seed in range(300)}
    # three frames, three ways to say one (twice "a"), two each for small, and above
    assert len(written) == 3 * 2 * 2 * 2
    assert {parse(caption) for caption in written} == {Claim(PAIR, "above")}


@pytest.mark.parametrize(
    ("caption", "skill"),
    [
        ("a small circle", "single_object"),
        ("a circle and a star", "two_objects"),
        ("a red circle and a red star", "two_objects"),
        ("two red circles", "counting"),
        ("a red circle", "colour"),
        ("a red circle above a star", "position"),
        ("a red circle and a blue star", "attribute_binding"),
    ],
)
def test_each_caption_asks_for_one_skill(caption, skill):
    assert parse(caption).skill == skill
