"""Any generator that Python can call is judged like a model."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from small_sources import SPEC, Projection, bits
from torch import Tensor

from genbench.core import DataError
from genbench.data.images import ResidentTable
from genbench.evaluation import Judge, Protocol, Reference
from genbench.evaluation.extraction import extract
from genbench.evaluation.sources import IterableSource, NoiseSource, TableSource
from genbench.metrics import FrechetDistance

IMAGE, LABEL = NoiseSource(SPEC).draw(0, range(900))
U8 = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)


def generator(size: int = 64) -> Iterator[Tensor]:
    """Stands for someone's model: yields batches until nobody asks for more."""
    yield from IMAGE.split(size)


def test_an_external_generator_is_judged_in_a_few_lines() -> None:
    reference = Reference.read(TableSource(ResidentTable(IMAGE[:400]), "reference"), Projection())
    judge = Judge(SPEC, Protocol("mine", samples=500), Projection(), {"fd": FrechetDistance()}, reference)
    result = judge.evaluate(IterableSource(generator(), "my generator", SPEC))
    same = judge.evaluate(TableSource(ResidentTable(IMAGE[:500]), "the same, stored"))
    assert result["fd"] == pytest.approx(same["fd"], rel=1e-9)
    assert (result["samples"], result["nfe"]) == (500, None)


@pytest.mark.parametrize("size", [1, 63, 250, 900])
def test_exactly_the_first_n_images_in_order_whatever_the_batches(size: int) -> None:
    batches = generator(size)
    table = extract(IterableSource(batches, "g"), Projection(), 613, batch=100, keep_images=True)
    assert bits(table.image) == bits(IMAGE[:613])
    assert table.label is None
    # what was not asked for is left to the caller
    assert sum(len(batch) for batch in batches) == 900 - min(900, -(-613 // size) * size)


def test_labels_go_along() -> None:
    assert LABEL is not None
    pairs = zip(IMAGE.split(70), LABEL.split(70), strict=True)
    table = extract(IterableSource(pairs, "g"), Projection(), 555)
    assert bits(table.label) == bits(LABEL[:555])


def test_a_generator_that_stops_early_says_how_many_it_gave() -> None:
    with pytest.raises(DataError, match=r"g gave 900 images.*protocol\.samples=900"):
        extract(IterableSource(generator(), "g"), Projection(), 1000)


def test_it_is_judged_once() -> None:
    source = IterableSource(generator(), "g")
    assert source.once
    extract(source, Projection(), 300)
    with pytest.raises(DataError, match=r"g is an iterable, read up to image 300, and image 0 .* once"):
        extract(source, Projection(), 300, seed=1)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (U8.float(), r"image 4 on: images are torch.float32; expected a uint8"),
        (U8.long(), r"images are torch.int64; expected a uint8"),
        (U8.numpy(), r"images are ndarray; expected a uint8"),
        (U8[0], r"shape \(1, 8, 8\); expected \(batch, 1 or 3 channels"),
        (U8.permute(0, 2, 3, 1), r"shape \(4, 8, 8, 1\); expected \(batch, 1 or 3 channels"),
        (U8[:0], r"shape \(0, 1, 8, 8\)"),
        (U8[..., :7], r"shape \(1, 8, 7\); expected \(1, 8, 8\)"),
        (U8.expand(4, 3, 8, 8), r"shape \(3, 8, 8\); expected \(1, 8, 8\)"),
        ((U8, torch.zeros(3, dtype=torch.int64)), r"labels are torch.int64 of shape \(3,\); expected .*\(4,\)"),
        ((U8, torch.zeros(4)), r"labels are torch.float32"),
        ((U8, np.zeros(4)), r"labels are ndarray"),
        ((U8, torch.zeros(4, dtype=torch.int64)), r"some batches have labels and some none"),
    ],
)
def test_anything_but_uint8_images_is_refused(batch: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        extract(IterableSource([U8, batch], "g"), Projection(), 8)


def test_images_unlike_the_data_are_refused_at_once() -> None:
    with pytest.raises(DataError, match=r"g, the batch from image 0 on: .*\(3, 8, 8\); expected \(1, 8, 8\)"):
        extract(IterableSource([U8.expand(4, 3, 8, 8)], "g", SPEC), Projection(), 4)
