import hashlib

import pytest
import torch
from sklearn.datasets import load_digits

from genbench.core import DataError, ImageSpec
from genbench.core.pixels import to_float, to_levels
from genbench.data.digits import Digits, split_indices

# of the sorted test indices as little-endian int64: results on digits are comparable only while this holds
TEST_INDICES_SHA256 = "2fbaae31b8c6aad12464a07771b64269876d904bfed86f77a63c8265fa201621"


def test_split_never_drifts() -> None:
    train, test = split_indices(load_digits().target)
    assert hashlib.sha256(test.astype("<i8").tobytes()).hexdigest() == TEST_INDICES_SHA256
    assert (len(train), len(test)) == (1437, 360)
    assert sorted([*train, *test]) == list(range(1797))


def test_split_is_stratified() -> None:
    dataset = Digits()
    for split, n in (("train", 1437), ("test", 360)):
        counts = torch.bincount(dataset.table(split).label, minlength=10)
        true = torch.bincount(torch.from_numpy(load_digits().target)) * (n / 1797)
        assert (counts - true).abs().max() < 1


@pytest.mark.parametrize(("split", "part"), [("train", 0), ("test", 1)])
def test_pixels_and_labels_are_scikit_learns(split, part) -> None:
    digits = load_digits()
    rows = split_indices(digits.target)[part]
    images = Digits().table(split).take(range(len(rows)))
    expected = (torch.from_numpy(digits.images[rows]) * 255 / 16).round().to(torch.uint8)
    assert torch.equal(images.image[:, 0], expected)
    assert images.label.tolist() == digits.target[rows].tolist()


def test_all_17_levels_survive_the_float_round_trip() -> None:
    digits = load_digits()
    rows = split_indices(digits.target)[0]
    image = Digits().table("train").take(range(1437)).image
    levels = to_levels(to_float(image, 17), 17)
    assert torch.equal(levels[:, 0], torch.from_numpy(digits.images[rows]).long())
    assert levels.unique().tolist() == list(range(17))


def test_a_stated_spec_must_fit() -> None:
    assert Digits(spec=ImageSpec(1, 8, 8, 10, 17)).spec == Digits().spec
    with pytest.raises(DataError, match=r"levels is 256 but the data have 17.*data\.spec\.levels=17") as error:
        Digits(spec=ImageSpec(1, 8, 8, 10))
    assert "height" not in str(error.value)
