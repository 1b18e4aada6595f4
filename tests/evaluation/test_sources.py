import pytest
import torch

from genbench.core import DataError, ImageSpec
from genbench.core.pixels import from_levels, to_uint8
from genbench.data.digits import Digits
from genbench.evaluation.sources import ImageSource, NoiseSource, TableSource

SPEC = ImageSpec(1, 8, 8, num_classes=10, levels=17)


def drawn(source: ImageSource, n: int, batch: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.cat([image for image, _ in source.batches(n, batch, seed)])


def test_a_table_gives_every_image_once_in_order_when_all_are_asked() -> None:
    table = Digits().table("test")
    source = TableSource(table, "digits test")
    assert source.size == 360
    whole = table.take(range(360))
    for seed in (0, 1):
        torch.testing.assert_close(drawn(source, 360, 100, seed), whole.image, rtol=0, atol=0)
    label = torch.cat([label for _, label in source.batches(360, 7) if label is not None])
    assert torch.equal(label, whole.label)


def test_a_subset_has_no_duplicates_differs_by_seed_and_not_by_batch() -> None:
    source = TableSource(Digits().table("train"), "digits train")
    chosen = source.choice(200, seed=0)
    assert len(set(chosen)) == 200
    assert list(chosen) == list(source.choice(200, seed=0))
    assert set(chosen) != set(source.choice(200, seed=1))
    assert torch.equal(drawn(source, 200, 3), drawn(source, 200, 64))


def test_too_few_images_say_how_many_and_what_to_lower() -> None:
    source = TableSource(Digits().table("test"), "digits test")
    with pytest.raises(DataError, match=r"digits test has 360 images.* asks for 1000.*protocol\.samples=360"):
        next(source.batches(1000, 10))


def test_noise_is_uniform_over_the_levels_and_seeded_per_image() -> None:
    source = NoiseSource(SPEC)
    image = drawn(source, 2000, 500)
    level, count = image.unique(return_counts=True)
    assert torch.equal(level, to_uint8(from_levels(torch.arange(17), 17), 17))
    # 128 000 pixels over 17 levels: five standard deviations of a binomial count
    expected = image.numel() / 17
    assert (count - expected).abs().max() < 5 * (expected * 16 / 17) ** 0.5
    assert torch.equal(drawn(source, 20, 1), image[:20])
    assert not torch.equal(drawn(source, 20, seed=1), image[:20])
    _, label = source.draw(0, [3, 10, 27])
    assert label is not None
    assert label.tolist() == [3, 0, 7]
