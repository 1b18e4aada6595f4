"""Diffusion: its loss against the definition, label dropout, and guidance as a sampling choice."""

import pytest
import torch
from small_models import CHANNELS, awake, fake_batch

from genbench.core import Condition, ConfigError, ImageSpec, SeededNoise, StreamNoise
from genbench.diffusion.objectives import Epsilon
from genbench.diffusion.samplers import DDIM, DDPM, DiffusionSampler
from genbench.diffusion.schedules import Cosine, Linear, NoiseSchedule
from genbench.families.diffusion import Diffusion
from genbench.networks.unet import UNet

DIGITS = ImageSpec(1, 8, 8, num_classes=10, levels=17)


def small(
    sampler: DiffusionSampler | None = None, schedule: NoiseSchedule | None = None, label_dropout: float = 0.1
) -> Diffusion:
    model = Diffusion(
        DIGITS,
        schedule or Cosine(),
        Epsilon(),
        sampler or DDIM(steps=5),
        UNet(DIGITS, CHANNELS[8], 1, 8, 2),
        label_dropout=label_dropout,
    )
    awake(model)
    return model


def test_an_untrained_network_predicts_no_noise_and_so_loses_its_variance() -> None:
    torch.manual_seed(0)
    model = Diffusion(DIGITS, Cosine(), Epsilon(), DDIM(), UNet(DIGITS, CHANNELS[8], 1))
    loss = model.loss(fake_batch(DIGITS, 500), StreamNoise(500))["loss"].item()
    assert loss == pytest.approx(1.0, abs=0.04)  # 5 standard errors of a mean over 32 000 squared normals


def test_loss_is_the_error_of_the_noise() -> None:
    model, batch = small(label_dropout=0.0), fake_batch(DIGITS)
    noise = SeededNoise(0, range(5))
    t, eps = model.schedule.times(noise.uniform()), noise.normal(1, 8, 8)
    alpha, sigma = model.schedule.alpha_sigma(t)
    noisy = alpha[:, None, None, None] * batch.image + sigma[:, None, None, None] * eps
    expected = (model.network(noisy, t, model.label(batch.label, 5)) - eps).square().mean()
    torch.testing.assert_close(model.loss(batch, SeededNoise(0, range(5)))["loss"], expected)


@pytest.mark.parametrize("sampler", [DDIM(steps=7), DDIM(steps=7, eta=0.5), DDPM(steps=7)])
@pytest.mark.parametrize("schedule", [Linear(), Cosine()])
def test_every_sampler_runs_on_every_schedule(sampler: DiffusionSampler, schedule: NoiseSchedule) -> None:
    with torch.no_grad():
        image = small(sampler, schedule).sample(SeededNoise(0, range(3)), Condition(torch.arange(3)))
    assert image.dtype == torch.float32
    assert image.abs().max() <= 1.0  # the last step shows the clipped image itself
    assert image.std() > 0.05


def test_guidance_zero_is_unconditional_and_one_is_conditional() -> None:
    label = torch.tensor([1, 2, 3])
    images = {}
    for scale in (0.0, 1.0, 3.0):
        model = small(DDIM(steps=5, guidance=scale))
        with torch.no_grad():
            images[scale] = model.sample(SeededNoise(0, range(3)), Condition(label))
            if scale == 1.0:
                without_labels = model.sample(SeededNoise(0, range(3)), Condition())
    torch.testing.assert_close(images[0.0], without_labels, rtol=0, atol=1e-5)
    assert (images[1.0] - without_labels).abs().max() > 1e-3
    assert (images[3.0] - images[1.0]).abs().max() > 1e-3


@pytest.mark.parametrize(("guidance", "evaluations"), [(1.0, 3), (0.0, 3), (2.0, 6)])
def test_evaluations_are_counted_at_the_network(guidance: float, evaluations: int) -> None:
    model, counted = small(DDIM(steps=4, guidance=guidance)), []
    model.network.register_forward_hook(lambda m, args, out: counted.append(len(args[0])))
    with torch.no_grad():
        model.sample(SeededNoise(0, range(3)), Condition(torch.arange(3)))
    assert counted == [evaluations] * 4


def test_guidance_needs_labels_and_their_dropout() -> None:
    with pytest.raises(ConfigError, match=r"sampler\.guidance=2 needs .* model\.label_dropout=0\.1"):
        small(DDIM(guidance=2.0), label_dropout=0.0)
    with pytest.raises(ConfigError, match=r"model\.conditional=true"):
        Diffusion(DIGITS, Cosine(), Epsilon(), DDIM(guidance=2.0), UNet(DIGITS, CHANNELS[8]), conditional=False)


def test_without_label_dropout_there_is_no_null_class() -> None:
    model = small(label_dropout=0.0)
    assert model.label.table.weight.shape[0] == 10
    with pytest.raises(ConfigError, match="give labels"):
        model.sample(SeededNoise(0, range(2)), Condition())
