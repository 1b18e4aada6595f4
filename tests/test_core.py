"""Pixels, noise, specs, batches."""

import pytest
import torch

from genbench.core import Batch, ConfigError, ImageSpec, SeededNoise, StreamNoise
from genbench.core.grid import image_grid
from genbench.core.noise import image_seed
from genbench.core.pixels import from_levels, to_float, to_levels, to_uint8


def test_all_256_bytes_survive_the_round_trip() -> None:
    byte = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(byte)), byte)
    assert to_float(byte).min() == -1.0
    assert to_float(byte).max() == 1.0


@pytest.mark.parametrize("levels", [2, 3, 17, 100, 255, 256])
def test_every_level_survives_the_round_trip(levels: int) -> None:
    level = torch.arange(levels)
    image = from_levels(level, levels)
    assert torch.equal(to_levels(image, levels), level)
    byte = to_uint8(image, levels)
    assert len(byte.unique()) == levels
    torch.testing.assert_close(to_float(byte, levels), image, rtol=0, atol=0)


def test_rounding_is_to_the_nearest_level_and_clamps() -> None:
    assert to_uint8(torch.tensor([-9.0, -1.0, -0.9961, 0.9961, 1.0, 9.0])).tolist() == [0, 0, 0, 255, 255, 255]
    assert to_uint8(torch.tensor([-0.9960])).tolist() == [1]  # -1 + 2 * 0.5 / 255 = -0.99608 is the border
    assert to_levels(torch.tensor([0.05, 0.07]), 17).tolist() == [8, 9]  # the border is 1/16 = 0.0625


def test_an_image_has_its_own_noise_whatever_its_batch() -> None:
    whole = SeededNoise(7, range(10))
    parts = [SeededNoise(7, range(3)), SeededNoise(7, range(3, 10))]
    for draw in (lambda n: n.normal(2, 3), lambda n: n.uniform(4), lambda n: n.normal()):
        assert torch.equal(draw(whole), torch.cat([draw(part) for part in parts]))


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31])
def test_no_two_images_of_a_sampling_seed_share_their_noise(seed: int) -> None:
    seeds = {image_seed(seed, index) for index in range(100_000)}
    assert len(seeds) == 100_000
    assert max(seeds) < 2**32  # torch's generator would ignore higher bits


def test_sampling_seeds_share_hardly_any_noise() -> None:
    sets = [{image_seed(seed, index) for index in range(20_000)} for seed in range(5)]
    # 5 x 20 000 of 2^32 seeds drawn at random would share about one
    assert 5 * 20_000 - len(set.union(*sets)) <= 10


def test_seeded_noise_is_normal_and_uniform() -> None:
    noise = SeededNoise(0, range(200))
    normal, uniform = noise.normal(500).double(), noise.uniform(500).double()
    # 100 000 numbers: mean within 4 standard errors, and the fourth moment of a Gaussian
    assert abs(float(normal.mean())) < 4 / 100_000**0.5
    assert float(normal.pow(4).mean()) == pytest.approx(3.0, abs=0.15)
    assert float(uniform.mean()) == pytest.approx(0.5, abs=4 * (1 / 12 / 100_000) ** 0.5)
    assert uniform.min() >= 0.0
    assert uniform.max() < 1.0


def test_stream_noise_follows_the_global_seed() -> None:
    torch.manual_seed(3)
    first = StreamNoise(4).normal(5)
    torch.manual_seed(3)
    assert torch.equal(StreamNoise(4).normal(5), first)
    assert StreamNoise(4).uniform().shape == (4,)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"channels": 0}, "channels is 0"),
        ({"height": 0}, "0x8"),
        ({"levels": 1}, "levels is 1"),
        ({"levels": 300}, "levels is 300"),
        ({"num_classes": -1}, "num_classes is -1"),
    ],
)
def test_a_spec_no_dataset_can_have_is_refused(fields: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        ImageSpec(**({"channels": 1, "height": 8, "width": 8} | fields))


@pytest.mark.parametrize(("size", "parts", "sizes"), [(10, 3, [4, 4, 2]), (5, 9, [1] * 5), (8, 1, [8])])
def test_a_batch_splits_into_its_images_in_order(size: int, parts: int, sizes: list[int]) -> None:
    batch = Batch(torch.rand(size, 1, 2, 2), torch.arange(size), [str(i) for i in range(size)], torch.arange(size))
    pieces = list(batch.split(parts))
    assert [len(piece) for piece in pieces] == sizes
    assert torch.equal(torch.cat([piece.image for piece in pieces]), batch.image)
    assert [c for piece in pieces for c in piece.caption] == batch.caption


def test_a_sheet_shows_every_image_enlarged_without_smoothing() -> None:
    images = torch.stack([torch.full((1, 8, 8), value, dtype=torch.uint8) for value in (0, 60, 120, 180, 240, 10)])
    sheet = image_grid(images, columns=3)
    assert sheet.size == (3 * 32 + 4 * 2, 2 * 32 + 3 * 2)
    colours = {colour[0] for _, colour in sheet.getcolors()}
    assert colours == {0, 60, 120, 180, 240, 10, 255}
