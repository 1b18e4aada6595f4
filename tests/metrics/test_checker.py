"""The metric of captions: the checker's verdicts as rates, skill by skill, what was taught and what was not."""

import math

import pytest
import torch

from genbench.core import DataError
from genbench.data.npz import Npz
from genbench.metrics import Checker, Evidence, FeatureTable
from genbench.metrics.checker import DETAILS, KEYS
from genbench.shapes import Object, render

RED = Object("circle", "red", 0.3, 0.25, 0.18)
BLUE = Object("square", "blue", 0.6, 0.7, 0.18)


def judged(pictures: list[list[Object]], captions: list[str] | None, taught: list[str] | None = None):
    image = render(pictures, 32)
    n = len(image)
    table = FeatureTable(torch.rand(n, 2), torch.zeros(n, 0), None, False, image, captions)
    return Checker()(Evidence(table, None, table.moments, taught=taught))


def test_each_skill_is_the_rate_of_its_own_captions():
    captions = [
        "a circle", "a square",  # right, wrong
        "a circle and a square", "two circles", "a red circle", "a blue circle",  # right, wrong, right, wrong
        "a red circle above a blue square", "a red circle below a blue square", "a circle above a blue square",
        "a red circle and a blue square", "a blue circle and a red square",
        "a purple elephant",
    ]  # fmt: skip
    pictures = [[RED], [RED], [RED, BLUE], [RED], [RED], [RED], *([[RED, BLUE]] * 5), [RED]]
    found = judged(pictures, captions, taught=captions)
    values = {key: score.value for key, score in found.items() if "_held_out" not in key}
    assert values == {
        "overall": 6 / 11, "single_object": 0.5, "two_objects": 1.0, "counting": 0.0, "colour": 0.5,
        "position": pytest.approx(2 / 3), "attribute_binding": 0.5, "cannot_judge": pytest.approx(1 / 12),
    }  # fmt: skip
    assert found["overall"].error == pytest.approx(math.sqrt(6 / 11 * 5 / 11 / 11))
    assert found["cannot_judge"].error == pytest.approx(math.sqrt(1 / 12 * 11 / 12 / 12))
    assert set(found) == {*KEYS, "cannot_judge"}


def test_what_no_training_caption_names_is_held_out():
    taught = ["a red circle and a green square", "a red square above a circle", "gibberish"]
    captions = ["a red circle", "a blue square", "a circle below a red square", "a square below a circle", "a star"]
    found = judged([[RED], [BLUE], [RED], [RED, BLUE], [RED]], captions, taught)
    assert found["overall"].value == pytest.approx(1 / 3)  # the first, the third and the last
    assert found["overall_held_out"].value == pytest.approx(2 / 2)
    assert (found["colour"].value, found["colour_held_out"].value) == (1.0, 1.0)
    assert (found["position"].value, found["position_held_out"].value) == (0.0, 1.0)
    assert found["counting"].value is found["single_object_held_out"].value is None
    assert "colour_held_out" in DETAILS
    assert "overall_held_out" not in DETAILS


def test_the_checker_looks_for_the_shapes_and_colours_that_captions_know():
    blot = [Object("diamond", "orange", 0.5, 0.5, 0.18)]
    # the nearest to orange among red and white, where nothing speaks of orange
    captions = ["a red diamond", "a white circle"]
    assert judged([blot] * 2, captions, captions)["overall"].value == 0.5
    assert judged([blot] * 2, captions, [*captions, "an orange circle"])["overall"].value == 0.0


def test_samples_without_captions_have_no_score():
    assert {score.value for score in judged([[RED]] * 2, None).values()} == {None}


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 8, 9)])
def test_pictures_it_cannot_read_are_refused(shape):
    image = torch.zeros(shape, dtype=torch.uint8)
    table = FeatureTable(torch.rand(2, 2), torch.zeros(2, 0), None, False, image, ["a circle"] * 2)
    with pytest.raises(DataError, match=rf"these are {shape[2]}x{shape[3]}x{shape[1]}: choose other metrics"):
        Checker()(Evidence(table, None, table.moments))


def test_a_table_keeps_captions_with_their_rows():
    table = FeatureTable(torch.rand(3, 2), torch.zeros(3, 0), None, False, None, ["a", "b", "c"])
    assert table.take([2, 0, 2]).caption == ["c", "a", "c"]


def test_captions_of_real_pictures_cannot_be_judged(shared_data):
    emoji = Npz(str(shared_data / "emoji" / "noto_emoji_32.npz")).table("test").take(range(100))
    table = FeatureTable(torch.rand(100, 2), torch.zeros(100, 0), None, False, emoji.image, emoji.caption)
    found = Checker()(Evidence(table, None, table.moments))
    assert found["cannot_judge"].value == 1.0
    assert found["overall"].value is None
