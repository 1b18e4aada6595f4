"""Captions in evaluation: asked for in order, in the hash, refused where there are none, framed by two controls."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from genbench.core import ConfigError, DataError
from genbench.data.images import ResidentTable
from genbench.data.shapes import Shapes
from genbench.evaluation import Judge, Protocol, Reference
from genbench.evaluation.controls import controls
from genbench.evaluation.sources import (
    BlurSource,
    ChanceSource,
    NoiseSource,
    OneModeSource,
    RetrievalSource,
    TableSource,
)
from genbench.features import Pixels
from genbench.metrics import Checker, FrechetDistance
from genbench.shapes import Difficulty

RELATIONS = ["above", "below", "left of", "right of"]
SMALL = Difficulty(
    16, ["red", "green", "blue"], ["circle", "square", "triangle"], ["large"], 2, RELATIONS, ["blue triangle"]
)


@pytest.fixture(scope="module")
def data() -> Shapes:
    return Shapes("shapes", None, SMALL, train_images=1200, test_images=240, resident_limit=2**30)


@pytest.fixture(scope="module")
def judge(data: Shapes) -> Judge:
    extractor = Pixels()
    reference = Reference.read(TableSource(data.table("train"), "shapes train"), extractor)
    captions = {split: data.table(split).caption for split in ("train", "test")}
    metrics = {"fd": FrechetDistance(), "checker": Checker()}
    return Judge(data.spec, Protocol("p", 240, "train"), extractor, metrics, reference, captions=captions)


def test_the_truth_is_right_and_chance_and_looking_up_are_not(data: Shapes, judge: Judge) -> None:
    found = controls(judge, data.table("train"), data.table("test"), "shapes")
    assert list(found) == ["real", "train copy", "noise", "blur", "one mode", "chance", "retrieval"]
    assert [found["real"][key] for key in ("overall", "overall_held_out", "position")] == [1.0] * 3
    assert found["train copy"]["overall"] == 1.0
    assert found["noise"]["overall"] == 0.0
    assert found["one mode"]["overall"] < 0.1
    assert found["chance"]["overall"] < 0.06
    assert found["chance"]["fd"] == pytest.approx(found["real"]["fd"])
    looked_up = found["retrieval"]
    # training has most seen captions, never a held-out one, and word order is lost on a bag of words
    assert looked_up["overall_held_out"] < 0.4 < 0.6 < looked_up["overall"] < 1.0
    assert looked_up["single_object"] == 1.0


def test_captions_count_in_the_hash(judge: Judge) -> None:
    other = replace(judge, captions={**judge.captions, "test": judge.captions["test"][::-1]})
    assert set(judge.fields["captions"]) == {"train", "test"}
    assert other.hash != judge.hash
    assert "captions" not in replace(judge, metrics={"fd": FrechetDistance()}, captions={}).fields


def test_captions_that_are_missing_are_told_before_anything_is_judged(data: Shapes, judge: Judge) -> None:
    with pytest.raises(ConfigError, match="metric checker judges by captions, and these data have none: use data"):
        replace(judge, captions={})
    bare = ResidentTable(data.table("test").take(range(240)).image)
    with pytest.raises(DataError, match=r"theirs does not say .* give an npz with an array `captions`"):
        judge.evaluate(TableSource(bare, "theirs"))


def test_every_source_tells_what_its_images_show(data: Shapes) -> None:
    table, prompts = data.table("test"), data.table("test").caption
    assert (
        TableSource(table, "t").captions([5, 2]) == BlurSource(table, "b").captions([5, 2]) == [prompts[5], prompts[2]]
    )
    assert NoiseSource(data.spec, prompts).captions([241]) == OneModeSource(table, "o", prompts).captions([1])
    assert NoiseSource(data.spec).captions([0]) is None
    bare = ResidentTable(table.take([0]).image)
    assert TableSource(bare, "t").captions([0]) is BlurSource(bare, "b").captions([0]) is None


def test_chance_deals_out_each_picture_once(data: Shapes) -> None:
    table = data.table("test")
    source = ChanceSource(table, table.caption, "chance")
    image, _ = source.draw(0, range(240))
    assert source.captions(range(240)) == table.caption
    own = table.take(range(240)).image
    assert not torch.equal(image, own)
    assert np.array_equal(*(np.sort(each.flatten(1).double().sum(1)) for each in (image, own)))


def test_retrieval_is_the_first_caption_that_shares_most_words() -> None:
    captions = ["a red circle", "a blue square above a red circle", "a red circle above a blue square", "a star"]
    train = ResidentTable(torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 2, 2), None, captions)
    asked = ["a red circle above a blue square", "a green circle", "two stars", "a star"]
    image, label = RetrievalSource(train, asked, "r").draw(0, range(4))
    assert image[:, 0, 0, 0].tolist() == [1, 0, 0, 3]
    assert label is None


def test_pixels_are_the_means_of_cells() -> None:
    image = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    image[0, 1, 0, 0:2] = 255
    out = Pixels()(image)
    assert out["features"].shape == (1, 192)
    assert out["logits"].shape == (1, 0)
    assert out["features"][0, 64] == pytest.approx(0.5)
    assert float(out["features"].sum()) == pytest.approx(0.5)
    with pytest.raises(DataError, match="features=pixels judges uint8 images"):
        Pixels()(image.float())
