"""The checker: right on every true picture, wrong on every corruption, lenient with soft pictures only."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from difficulties import NAMES, difficulty
from torchvision.transforms.functional import gaussian_blur

from genbench.shapes import Checker, Object, Scene, parse, render, scene_of
from genbench.shapes.reader import speck

SIDE = 32
RED = Object("circle", "red", 0.3, 0.25, 0.1)
BLUE = Object("square", "blue", 0.6, 0.7, 0.18)
CAPTION = "a small red circle above a large blue square"


def scenes(name: str, n: int, part: str = "seen") -> tuple[list[Scene], torch.Tensor, Checker]:
    drawn = [scene_of(difficulty(name), "judged", index, part) for index in range(n)]
    image = render([scene.objects for scene in drawn], difficulty(name).side)
    return drawn, image, Checker.of_captions(scene.caption for scene in drawn)


def verdict(objects: list[Object], caption: str = CAPTION):
    return Checker()(render([objects], SIDE)[0], caption)


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_is_right_at_every_difficulty(name):
    for part, n in (("seen", 2000), ("held_out", 400)):
        drawn, image, checker = scenes(name, n, part)
        told = [checker(picture, scene.caption) for picture, scene in zip(image, drawn, strict=True)]
        assert [(v.reason, v.claim) for v in told] == [("as the caption says", scene.claim) for scene in drawn]


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_is_right_whatever_other_words_there_are(name):
    drawn, image, _ = scenes(name, 300)
    assert all(Checker()(picture, scene.caption).ok for picture, scene in zip(image, drawn, strict=True))


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([RED, BLUE], "as the caption says"),
        ([replace(RED, colour="green"), BLUE], "shows one small green circle and one large blue square instead of"),
        ([RED, replace(BLUE, shape="triangle")], "one large blue triangle instead of one small red circle and one"),
        ([replace(RED, radius=0.18), BLUE], "shows one large red circle and one large blue square instead of"),
        ([RED], "shows one small red circle: 1 objects instead of 2"),
        ([], "shows nothing: 0 objects instead of 2"),
        (
            [RED, BLUE, Object("star", "red", 0.8, 0.2, 0.1)],
            "shows one small red star and one small red circle and one large blue square: 3 objects",
        ),
        ([RED, BLUE, replace(RED, x=0.75)], "two small red circles and one large blue square: 3 objects"),
        ([replace(RED, y=0.8, x=0.2), replace(BLUE, y=0.25)], "but one small red circle not above one large blue"),
        ([replace(RED, y=0.5, x=0.2), replace(BLUE, y=0.5)], "but one small red circle not above one large blue"),
        (
            [replace(RED, colour="blue"), replace(BLUE, colour="red")],
            "shows one large red square and one small blue circle instead of",
        ),
        ([replace(RED, shape="square"), replace(BLUE, shape="circle")], "one small red square and one large blue"),
    ],
)
def test_every_single_corruption_is_told(objects, reason):
    found = verdict(objects)
    assert reason in found.reason
    assert found.ok == (reason == "as the caption says")


def test_more_of_a_kind_than_captions_have_words_for_are_counted_in_figures():
    many = [Object("circle", "red", 0.15 + 0.3 * (i % 3), 0.15 + 0.3 * (i // 3), 0.1) for i in range(7)]
    assert verdict(many).reason == "shows 7 small red circles: 7 objects instead of 2"


def test_corrupted_captions_of_true_pictures_are_wrong():
    """As above, over many scenes: another colour, shape, count, size or relation than the picture's."""
    drawn, image, checker = scenes("shapes_32", 600)
    swaps = [
        ("red ", "blue "), ("green ", "white "), ("yellow ", "purple "), ("blue ", "yellow "), ("circle", "square"),
        ("star", "triangle"), ("diamond", "circle"), ("two", "three"), ("four", "five"), ("small ", "large "),
        ("above", "below"), ("left of", "right of"), ("under", "over"),
    ]  # fmt: skip
    tried = 0
    for picture, scene in zip(image, drawn, strict=True):
        for old, new in swaps:
            if scene.caption.count(old) == 1 and not scene.caption.count(new):
                tried += 1
                verdict = checker(picture, scene.caption.replace(old, new))
                assert verdict.ok is False, (scene.caption, old, new)
    assert tried > 500


def test_what_a_caption_leaves_open_may_be_anything():
    for caption in ("a circle and a square", "a square and a red circle", "a small circle above a square"):
        assert verdict([RED, BLUE], caption).ok
    two = [replace(RED, x=0.2), replace(RED, x=0.7, colour="cyan")]
    assert verdict(two, "two circles").ok
    assert verdict(two, "a circle and a red circle").ok
    assert verdict([*two, BLUE], "two small circles over a square").ok
    assert not verdict([*two, replace(BLUE, y=0.2, x=0.45)], "two small circles over a square").ok


def test_words_outside_the_grammar_are_not_judged():
    found = verdict([RED, BLUE], "a purple elephant")
    assert (found.ok, found.claim) == (None, None)
    assert found.reason == "cannot judge: 'elephant' is no word of the captions"


def test_a_checker_of_captions_looks_for_their_words():
    found = Checker.of_captions(["a red circle", "two blue crosses.", "a gibberish"])
    assert (found.colours, found.shapes) == (("red", "blue"), ("circle", "cross"))


@pytest.mark.parametrize(
    ("name", "sigma", "noise", "least"),
    [("shapes", 0.7, 0, 0.99), ("shapes", 0.5, 15, 0.99), ("shapes_32", 0.5, 15, 0.98), ("shapes_64", 0.9, 15, 0.99)],
)
def test_soft_and_noisy_pictures_are_read(name, sigma, noise, least):
    drawn, image, checker = scenes(name, 300)
    soft = gaussian_blur(image.float(), [7, 7], [sigma, sigma])
    soft += noise * torch.randn(soft.shape, generator=torch.Generator().manual_seed(0))
    soft = soft.round().clamp(0, 255).to(torch.uint8)
    right = [bool(checker(picture, scene.caption).ok) for picture, scene in zip(soft, drawn, strict=True)]
    assert np.mean(right) >= least


@pytest.mark.parametrize("name", NAMES)
def test_specks_are_overlooked_and_anything_larger_is_an_object(name):
    drawn, image, checker = scenes(name, 100)
    side = difficulty(name).side
    corner = [i for i in range(100) if not image[i, :, :9, :9].any()]
    assert len(corner) > 10
    for i in corner:
        picture = image[i].clone()
        picture[0, 0, : int(speck(side) - 1) // 2] = 255
        assert checker(picture, drawn[i].caption).ok
        edge = int(np.ceil(speck(side) ** 0.5)) + 1
        picture[0, :edge, :edge] = 255
        assert not checker(picture, drawn[i].caption).ok


def test_noise_blanks_and_shapeless_pictures_are_wrong():
    drawn, image, checker = scenes("shapes", 200)
    noise = torch.randint(0, 256, image.shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    blank = torch.zeros_like(image)
    melted = gaussian_blur(image.float(), [15, 15], [2.0, 2.0]).round().to(torch.uint8)
    for wrong, most in ((noise, 0), (blank, 0), (melted, 10)):
        assert sum(bool(checker(p, s.caption).ok) for p, s in zip(wrong, drawn, strict=True)) <= most
    bar = torch.zeros(3, 16, 16, dtype=torch.uint8)
    bar[0, 7:9] = 255
    assert checker(bar, "a red circle").reason == "red pixels have no known shape"


def test_pictures_of_other_captions_are_wrong():
    drawn, image, checker = scenes("shapes", 1200)
    others = np.random.default_rng(0).permutation(1200)
    by_chance = np.mean([bool(checker(image[i], drawn[j].caption).ok) for i, j in enumerate(others)])
    assert 0.0 < by_chance < 0.05
    assert parse(drawn[0].caption).skill == "single_object"


@pytest.mark.parametrize("colour", [(255, 255, 255), (128, 128, 128), (0, 255, 255), (255, 0, 255)])
def test_a_colour_that_is_none_of_the_palettes_is_no_shade_of_one(colour):
    drawn, image, checker = scenes("shapes", 200)
    alone = [i for i, scene in enumerate(drawn) if len(scene.objects) == 1 and scene.objects[0].colour == "yellow"]
    assert alone
    for i in alone:
        share = image[i].float().amax(0, keepdim=True) / 240.0
        painted = (share * torch.tensor(colour)[:, None, None]).round().to(torch.uint8)
        assert checker(image[i], drawn[i].caption).ok
        assert checker(painted, drawn[i].caption).reason == "some pixels have none of the colours"
