"""What every family must do: train on any image spec, sample in range, whatever the batch, and after reloading."""

import pytest
import torch
from small_models import CHANNELS, FAMILIES, Build, awake, fake_batch, losses
from torch import Tensor

from genbench.core import Condition, ConfigError, GenerativeModel, ImageSpec, SeededNoise, StreamNoise
from genbench.core.pixels import to_uint8

DIGITS = ImageSpec(1, 8, 8, num_classes=10, levels=17)


def drawn(model: GenerativeModel, indices: range, seed: int = 3) -> Tensor:
    label = torch.tensor([i % 10 for i in indices]) if model.conditional else None
    with torch.no_grad():
        return model.sample(SeededNoise(seed, indices), Condition(label))


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_losses_are_finite_and_reach_every_weight(family: Build, size: int, colours: int, conditional: bool) -> None:
    spec = ImageSpec(colours, size, size, num_classes=10 if conditional else 0)
    model, batch = awake(family(spec, conditional, CHANNELS[size])).train(), fake_batch(spec, size=3)
    for step in model.train_steps():
        result = step.loss(batch, StreamNoise(len(batch)))
        assert all(value.shape == () and value.isfinite() for value in result.values())
        model.zero_grad()
        result["loss"].backward()
        missing = [n for n, p in step.module.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        assert not missing


@pytest.mark.parametrize(("size", "colours", "conditional"), [(8, 1, True), (8, 3, False), (28, 1, False)])
def test_samples_have_the_shape_of_the_data(family: Build, size: int, colours: int, conditional: bool) -> None:
    spec = ImageSpec(colours, size, size, num_classes=10 if conditional else 0, levels=17)
    image = drawn(awake(family(spec, conditional, CHANNELS[size])), range(3))
    assert image.shape == (3, *spec.shape)
    assert image.isfinite().all()
    byte = to_uint8(image, spec.levels)
    assert set(byte.unique().tolist()) <= {round(k * 255 / 16) for k in range(17)}
    assert byte.unique().numel() > 1
    assert (byte[0] != byte[1]).any()


def test_pixel_gpt_and_ddpm_stay_in_range_by_themselves() -> None:
    for name in ("pixel_gpt", "ddpm", "dcgan"):
        image = drawn(awake(FAMILIES[name](DIGITS, True, CHANNELS[8])), range(4))
        assert image.abs().max() <= 1.0


def test_samples_do_not_depend_on_the_batch_they_are_drawn_in(family: Build) -> None:
    model = awake(family(DIGITS, True, CHANNELS[8]))
    together = to_uint8(drawn(model, range(37)), 17)
    apart = to_uint8(torch.cat([drawn(model, range(10)), drawn(model, range(10, 37))]), 17)
    assert torch.equal(together, apart)
    for i in (0, 16, 36):
        assert torch.equal(to_uint8(drawn(model, range(i, i + 1)), 17)[0], together[i])


def test_samples_follow_seed_and_label(family: Build) -> None:
    model = awake(family(DIGITS, True, CHANNELS[8]))
    first = drawn(model, range(4))
    assert torch.equal(first, drawn(model, range(4)))
    assert not torch.equal(first, drawn(model, range(4), seed=4))
    changed = torch.zeros(4, dtype=torch.bool)
    for seed in range(20):  # random weights saturate many pixels: a label does not show in every image
        with torch.no_grad():
            relabelled = model.sample(SeededNoise(seed, range(4)), Condition(torch.tensor([0, 1, 2, 7])))
        changed |= (relabelled != drawn(model, range(4), seed=seed)).flatten(1).any(1)
    assert changed.tolist() == [False, False, False, True]


def test_saved_weights_give_the_same_samples(family: Build) -> None:
    model, twin = awake(family(DIGITS, True, CHANNELS[8])), family(DIGITS, True, CHANNELS[8]).eval()
    assert not torch.equal(drawn(model, range(4)), drawn(twin, range(4)))
    twin.load_state_dict(model.state_dict())
    assert torch.equal(drawn(model, range(4)), drawn(twin, range(4)))


@pytest.mark.parametrize("name", ["vae", "pixel_gpt", "ddpm"])
def test_a_few_steps_lower_the_loss(name: str) -> None:
    torch.manual_seed(0)
    model, batch = FAMILIES[name](DIGITS, True, CHANNELS[8]), fake_batch(DIGITS, size=16)
    (step,) = model.train_steps()
    optimizer = torch.optim.Adam(step.module.parameters(), 2e-2)
    seen: list[float] = []
    for _ in range(40):
        loss = step.loss(batch, StreamNoise(16))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert sum(seen[-5:]) < 0.95 * sum(seen[:5])


def test_same_seed_trains_to_the_same_loss(family: Build) -> None:
    model, batch = awake(family(DIGITS, True, CHANNELS[8])), fake_batch(DIGITS)
    values = []
    for _ in range(2):
        torch.manual_seed(5)
        values.append([loss.item() for loss in losses(model, batch)])
    assert values[0] == values[1]


@pytest.mark.parametrize("name", ["vae", "dcgan", "ddpm"])
def test_a_size_that_cannot_be_halved_names_the_fix(name: str) -> None:
    with pytest.raises(ConfigError, match=r"\.channels at most 3 entries, or resize the data to 32x32"):
        FAMILIES[name](ImageSpec(1, 28, 28), False, (8, 8, 8, 8))


def test_labels_are_needed_where_promised(family: Build) -> None:
    with pytest.raises(ConfigError, match=r"model\.conditional=false"):
        family(ImageSpec(1, 8, 8), True, CHANNELS[8])


@pytest.mark.parametrize("name", ["vae", "dcgan", "pixel_gpt"])
def test_conditional_models_without_a_null_class_ask_for_labels(name: str) -> None:
    model = FAMILIES[name](DIGITS, True, CHANNELS[8])
    with pytest.raises(ConfigError, match="give labels"):
        model.sample(SeededNoise(0, range(2)), Condition())
