"""Sources of known worth do what their names say."""

import pytest
import torch

from genbench.core.pixels import from_levels, to_uint8
from genbench.data.digits import Digits
from genbench.data.images import ResidentTable
from genbench.evaluation.sources import BlurSource, OneModeSource

TRAIN = Digits().table("train")


def test_a_blurred_point_is_the_gaussian_of_its_width() -> None:
    image = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    image[:, :, 32, 32] = 255
    table = ResidentTable(image.repeat(1, 3, 1, 1))
    blurred, label = BlurSource(table, "blur", sigma=1 / 64).draw(0, [0])
    assert label is None
    # a deviation of one pixel: weights exp(-r^2 / 2) over three deviations, normalised
    weight = torch.exp(-(torch.arange(-3, 4).double() ** 2) / 2.0)
    weight /= weight.sum()
    expected = (255.0 * weight[:, None] * weight).round()
    assert blurred.dtype == torch.uint8
    for channel in blurred[0]:
        assert (channel[29:36, 29:36].double() - expected).abs().max() <= 1.0
        assert int(channel.long().sum()) == int(channel[29:36, 29:36].long().sum())


@pytest.mark.parametrize("side", [32, 64])
def test_the_width_goes_with_the_size_and_a_flat_image_stays(side: int) -> None:
    flat = torch.full((2, 1, side, side), 119, dtype=torch.uint8)
    assert torch.equal(BlurSource(ResidentTable(flat), "flat").draw(0, [0, 1])[0], flat)
    edge = torch.zeros(1, 1, side, side, dtype=torch.uint8)
    edge[..., side // 2 :] = 255
    row = BlurSource(ResidentTable(edge), "edge").draw(0, [0])[0][0, 0, 0].double() / 255.0
    between = float((row * (1.0 - row)).sum()) / side
    # the integral of p (1 - p) over a normal edge is its deviation / sqrt(pi)
    assert between == pytest.approx((1 / 16) / torch.pi**0.5, rel=0.06)


def test_blurred_digits_keep_their_levels_labels_and_number() -> None:
    source = BlurSource(TRAIN, "blur", levels=17)
    image, label = source.draw(3, range(100))
    assert source.size == 1437
    assert torch.equal(label, TRAIN.take(range(100)).label)  # type: ignore[arg-type]
    assert set(image.unique().tolist()) <= set(to_uint8(from_levels(torch.arange(17), 17), 17).tolist())
    assert torch.equal(image[40:50], source.draw(0, range(40, 50))[0])
    assert (image != TRAIN.take(range(100)).image).double().mean() > 0.3


def test_one_mode_is_one_class_of_real_images_another_for_each_seed() -> None:
    source = OneModeSource(TRAIN, "one mode")
    label = TRAIN.label
    assert label is not None
    assert source.size is None
    for seed in (0, 3, 13):
        image, asked = source.draw(seed, range(400))
        real = TRAIN.take((label == seed % 10).nonzero()[:, 0]).image
        assert torch.equal(image[: len(real)], real)
        assert torch.equal(image[len(real) :], real.repeat(3, 1, 1, 1)[: 400 - len(real)])
        assert asked is not None
        assert asked.tolist() == [i % 10 for i in range(400)]
        assert torch.equal(source.draw(seed, [399, 7])[0], image[[399, 7]])


def test_without_labels_one_image_is_all_there_is() -> None:
    image, label = OneModeSource(ResidentTable(TRAIN.take(range(20)).image), "one mode").draw(23, range(5))
    assert label is None
    assert torch.equal(image, TRAIN.take([3] * 5).image)
