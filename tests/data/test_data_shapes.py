"""data=shapes: pictures by number, with what is held out in every other test caption and never in training."""

import hashlib
from pathlib import Path

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from genbench.core import ConfigError, ImageSpec
from genbench.data.images import ResidentTable
from genbench.data.loader import TrainLoader
from genbench.data.shapes import DrawnTable, Shapes
from genbench.shapes import Difficulty, parse
from genbench.shapes.combinations import asked

CONF = Path(__file__).parents[2] / "conf" / "data"


def shapes(name: str = "shapes", **change: object) -> Shapes:
    return instantiate(OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), change), _convert_="all")


@pytest.mark.parametrize(("name", "side"), [("shapes", 16), ("shapes_32", 32), ("shapes_64", 64)])
def test_each_difficulty_is_data_with_captions(name, side):
    dataset = shapes(name, train_images=60, test_images=40)
    assert (dataset.name, dataset.spec) == (name, ImageSpec(3, side, side, captions=True))
    images = dataset.table("train").take([59, 0])
    assert images.image.shape == (2, 3, side, side)
    assert images.caption == [dataset.table("train").caption[i] for i in (59, 0)]
    assert shapes(name, train_images=60, difficulty={"side": 64}).spec.shape == (3, 64, 64)


def test_a_picture_is_the_same_in_a_longer_set_and_drawn_as_needed():
    short, long = (shapes(train_images=n).table("train") for n in (30, 50))
    drawn = shapes(train_images=50, resident_limit=50 * 3 * 16 * 16 - 1).table("train")
    assert isinstance(long, ResidentTable)
    assert isinstance(drawn, DrawnTable)
    for table in (short, drawn):
        assert torch.equal(table.take(range(30)).image, long.take(range(30)).image)
    assert drawn.caption == long.caption
    for one, other in zip(*(TrainLoader(table, 8, 40, 1) for table in (drawn, long)), strict=True):
        assert torch.equal(one.image, other.image)
        assert one.caption == other.caption
    assert len({table.fingerprint() for table in (short, long, drawn)}) == 3


def test_no_test_picture_is_a_training_picture():
    dataset = shapes(train_images=8000, test_images=1000)
    seen, test = (
        {hashlib.sha256(picture.numpy().tobytes()).digest() for picture in dataset.table(split).take(range(n)).image}
        for split, n in (("train", 8000), ("test", 1000))
    )
    assert len(test) == 1000
    assert not seen & test


def test_every_other_test_caption_names_what_training_captions_never_do():
    dataset = shapes(train_images=4000, test_images=200)
    taught = set().union(*(asked(parse(caption)) for caption in dataset.table("train").caption))
    assert not taught & dataset.difficulty.kept_back
    named = [bool(asked(parse(caption)) - taught) for caption in dataset.table("test").caption]
    assert named == [False, True] * 100
    assert len({parse(caption).skill for caption in dataset.table("test").caption[::2]}) == 6


def test_without_combinations_held_out_all_test_pictures_are_as_in_training():
    tables = [shapes(train_images=60, test_images=60, difficulty={"held_out": []}).table(s) for s in ("train", "test")]
    train, test = ([parse(caption).skill for caption in table.caption] for table in tables)
    assert train == test


def test_training_captions_may_ask_for_some_skills_alone_and_test_captions_do_not():
    some, every = shapes(train_images=60, train_skills=["position", "colour"]), shapes(train_images=60)
    assert [parse(caption).skill for caption in some.table("train").caption] == ["position", "colour"] * 30
    assert some.table("test").caption == every.table("test").caption
    assert some.table("train").fingerprint() != every.table("train").fingerprint()
    assert some.table("test").fingerprint() == every.table("test").fingerprint()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train_skills": ["postion"]}, r"train_skills is \['postion'\]; expected some of single_object, .*, or null"),
        ({"train_skills": []}, r"train_skills is \[\]; expected some of"),
        (
            {"train_skills": ["position"], "difficulty": {"most": 1, "held_out": []}},
            "some of single_object, colour, or null for all",
        ),
    ],
)
def test_skills_that_captions_do_not_have_are_refused(change, told):
    with pytest.raises(InstantiationException, match=told):
        shapes(**change)


def test_pictures_are_never_mirrored_and_a_split_has_pictures():
    assert shapes().flip is False
    with pytest.raises(ConfigError, match=r"data\.test_images is 0; expected at least 1"):
        Shapes("shapes", None, shapes().difficulty, 10, 0, 2**30)
    with pytest.raises(ConfigError, match="too few to tell shapes apart"):
        Difficulty(16, ["red", "blue"], ["circle", "square"], ["small"], 1, [], [])
