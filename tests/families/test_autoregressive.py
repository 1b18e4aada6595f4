"""PixelGPT: exact bits, causality over the raster, the cache, and drawing tokens by inverting the CDF."""

import itertools
import math

import pytest
import torch
from small_models import awake, fake_batch
from torch import Tensor, nn

from genbench.core import Batch, Condition, ConfigError, ImageSpec, SeededNoise, StreamNoise
from genbench.core.pixels import from_levels
from genbench.families.autoregressive import PixelGPT, TokenSampler

DIGITS = ImageSpec(1, 8, 8, num_classes=10, levels=17)


def small(spec: ImageSpec = DIGITS, cache: bool = True, dropout: float = 0.0) -> PixelGPT:
    model = PixelGPT(spec, TokenSampler(cache=cache), spec.num_classes > 0, 16, 2, 4, dropout)
    awake(model)
    return model


def test_a_uniform_model_has_exactly_log2_of_the_levels() -> None:
    model = PixelGPT(DIGITS, TokenSampler(), width=16, layers=1).double().eval()
    nn.init.zeros_(model.transformer.head.weight)
    likelihood = model.likelihood(fake_batch(DIGITS), StreamNoise(5))
    assert likelihood.kind == "exact"
    expected = torch.full((5,), math.log2(17))
    torch.testing.assert_close(likelihood.bits_per_dim, expected, rtol=1e-6, atol=0)
    assert model.loss(fake_batch(DIGITS), StreamNoise(5))["loss"].item() == pytest.approx(math.log2(17), rel=1e-6)


def test_probabilities_of_all_images_sum_to_one() -> None:
    spec = ImageSpec(1, 2, 2, levels=3)
    level = torch.tensor(list(itertools.product(range(3), repeat=4))).reshape(81, 1, 2, 2)
    batch = Batch(from_levels(level, 3), None, None, torch.arange(81))
    with torch.no_grad():
        bits = small(spec).likelihood(batch, StreamNoise(81)).bits_per_dim.double()
    assert (2.0 ** (-4 * bits)).sum().item() == pytest.approx(1.0, abs=1e-6)
    assert bits.std() > 0.01


@pytest.mark.parametrize("colours", [1, 3])
def test_raster_order_round_trips_with_channels_side_by_side(colours: int) -> None:
    spec = ImageSpec(colours, 3, 4, levels=5)
    model = PixelGPT(spec, TokenSampler(), conditional=False, width=8, layers=1)
    image = fake_batch(spec).image
    token = model.tokens(image)
    assert torch.equal(model.image(token), image)
    row, column, channel = 2, 1, colours - 1
    position = (row * 4 + column) * colours + channel
    assert torch.equal(from_levels(token[:, position], 5), image[:, channel, row, column])
    assert torch.equal(model.positions()[position], model.row.weight[row] + model.column.weight[column]
                       + model.channel.weight[channel])  # fmt: skip


def test_a_pixel_changes_no_prediction_up_to_its_own() -> None:
    model, batch = small().double(), fake_batch(DIGITS)
    image = batch.image.clone()
    image[:, 0, 3, 4] = -image[:, 0, 3, 4]
    level = model.tokens(batch.image)
    position = 3 * 8 + 4
    image[:, 0, 3, 4] = from_levels((level[:, position] + 5) % 17, 17)
    with torch.no_grad():
        before, after = model.nats(batch), model.nats(Batch(image, batch.label, None, batch.index))
    torch.testing.assert_close(after[:, :position], before[:, :position], rtol=0, atol=1e-6)
    later = (after - before)[:, position + 1 :].abs()
    assert (later.amax(0) > 1e-4).double().mean() > 0.9


def test_cached_and_uncached_sampling_agree() -> None:
    label, cached, uncached = torch.arange(12) % 10, small(cache=True), small(cache=False)
    with torch.no_grad():
        a, b = (m.sample(SeededNoise(2, range(12)), Condition(label)) for m in (cached, uncached))
    assert torch.equal(a, b)
    assert a.unique().numel() == 17


def test_samples_have_the_frequencies_the_model_says() -> None:
    """Two binary pixels: each of the four images as often as its probability."""
    spec, n = ImageSpec(1, 1, 2, levels=2), 4000
    model = small(spec)
    level = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]).reshape(4, 1, 1, 2)
    with torch.no_grad():
        bits = model.likelihood(Batch(from_levels(level, 2), None, None, torch.arange(4)), StreamNoise(4))
        sample = model.sample(SeededNoise(0, range(n)), Condition())
    expected = 2.0 ** (-2 * bits.bits_per_dim.double()) * n
    token = model.tokens(sample)
    observed = torch.bincount(2 * token[:, 0] + token[:, 1], minlength=4).double()
    assert ((observed - expected) ** 2 / expected).sum().item() < 16.3  # chi-square, 3 degrees, p = 0.001


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_stratified_uniforms_reproduce_the_probabilities(temperature: float) -> None:
    n = 100_000
    logits = torch.tensor([0.0, 2.0, -1.0, 0.5], dtype=torch.float64)
    uniform = ((torch.arange(n) + 0.5) / n).double()
    token = TokenSampler(temperature).draw(logits.expand(n, 4), uniform)
    expected = (logits / temperature).softmax(0) * n
    assert (torch.bincount(token, minlength=4) - expected).abs().max() <= 1.0
    assert (token.diff() >= 0).all()  # an inverse CDF is monotone


def test_extreme_uniforms_and_impossible_tokens() -> None:
    sampler = TokenSampler()
    last = 1.0 - 2.0**-24
    logits = torch.tensor([-math.inf, 0.0, 0.0, -100.0]).expand(2, 4)
    assert sampler.draw(logits, torch.tensor([0.0, 0.5])).tolist() == [1, 2]
    assert sampler.draw(torch.zeros(1, 17), torch.tensor([last])).tolist() == [16]
    assert sampler.draw(torch.tensor([[0.0, -100.0, -100.0]]), torch.tensor([last])).tolist() == [0]


def test_dropout_only_in_training() -> None:
    model, batch = small(dropout=0.5), fake_batch(DIGITS)
    with torch.no_grad():
        assert torch.equal(model.nats(batch), model.nats(batch))
        model.train()
        assert not torch.equal(model.nats(batch), model.nats(batch))


def test_every_network_evaluation_goes_through_forward() -> None:
    counts: list[int] = []
    model = small()
    model.network.register_forward_hook(lambda m, args, out: counts.append(args[0].shape[0] * args[0].shape[1]))
    with torch.no_grad():
        model.sample(SeededNoise(0, range(3)), Condition(torch.arange(3)))
    assert counts == [3] * 64


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"3072 for 32x32x3 images, more than model\.max_tokens=1000"):
        PixelGPT(ImageSpec(3, 32, 32), TokenSampler(), conditional=False, max_tokens=1000)
    with pytest.raises(ConfigError, match=r"sampler\.temperature is 0"):
        TokenSampler(temperature=0.0)
    with pytest.raises(ConfigError, match=r"model\.heads=3 .* use one of \[1, 2, 4, 8, 16\]"):
        PixelGPT(DIGITS, TokenSampler(), width=64, heads=3)


def test_rgb_at_32_pixels_samples_all_its_values() -> None:
    spec = ImageSpec(3, 32, 32)
    model = PixelGPT(spec, TokenSampler(), conditional=False, width=8, layers=1, heads=1).eval()
    with torch.no_grad():
        image = model.sample(SeededNoise(0, range(2)), Condition())
    assert image.shape == (2, 3, 32, 32)
    tokens: Tensor = model.tokens(image)
    assert 60 < tokens.double().std() < 90  # near uniform over 256 levels: 73.9
