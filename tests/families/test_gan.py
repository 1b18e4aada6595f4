"""The GAN: its losses on known logits, R1 in closed form, and that each move moves one network only."""

import math

import pytest
import torch
from small_models import CHANNELS, fake_batch
from torch import nn

from genbench.core import Condition, ConfigError, ImageSpec, SeededNoise, StreamNoise
from genbench.families import adversarial
from genbench.families.gan import DCGAN

DIGITS = ImageSpec(1, 8, 8, num_classes=10, levels=17)
REAL, FAKE = torch.tensor([2.0, -0.5]), torch.tensor([0.5, -3.0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_hinge_on_known_logits() -> None:
    # relu(1 - 2) = 0, relu(1 + 0.5) = 1.5; relu(1 + 0.5) = 1.5, relu(1 - 3) = 0
    assert adversarial.hinge_discriminator(REAL, FAKE).item() == pytest.approx(1.5)
    assert adversarial.hinge_generator(FAKE).item() == pytest.approx(1.25)


def test_non_saturating_on_known_logits() -> None:
    expected = (softplus(-2.0) + softplus(0.5)) / 2 + (softplus(0.5) + softplus(-3.0)) / 2
    assert adversarial.non_saturating_discriminator(REAL, FAKE).item() == pytest.approx(expected)
    expected = (softplus(-0.5) + softplus(3.0)) / 2
    assert adversarial.non_saturating_generator(FAKE).item() == pytest.approx(expected)
    undecided = torch.zeros(3)
    assert adversarial.non_saturating_discriminator(undecided, undecided).item() == pytest.approx(2 * math.log(2))


def test_generator_keeps_its_gradient_where_the_discriminator_is_sure() -> None:
    logit = torch.tensor([-30.0], requires_grad=True)
    adversarial.non_saturating_generator(logit).backward()
    assert logit.grad is not None
    assert logit.grad.item() == pytest.approx(-1.0)


def test_gradient_penalty_of_a_linear_discriminator_is_its_squared_weight() -> None:
    weight = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    image = torch.randn(5, 3, 2, 2, dtype=torch.float64).requires_grad_()
    penalty = adversarial.gradient_penalty(image.flatten(1) @ weight + 7.0, image)
    assert penalty.item() == pytest.approx(weight.square().sum().item(), rel=1e-12)
    penalty.backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, 2 * weight.detach(), rtol=1e-12, atol=0)


def test_gradient_penalty_of_a_quadratic_discriminator_is_a_mean_over_images() -> None:
    image = torch.tensor([[1.0, 2.0], [0.0, -3.0]], requires_grad=True)
    penalty = adversarial.gradient_penalty(image.square().sum(1), image)
    assert penalty.item() == pytest.approx((4 * 5.0 + 4 * 9.0) / 2)


@pytest.mark.parametrize("objective", ["non_saturating", "hinge"])
def test_discriminator_loss_adds_half_the_penalty(objective: str) -> None:
    torch.manual_seed(0)
    model = DCGAN(DIGITS, channels=CHANNELS[8], objective=objective, r1=0.0)  # type: ignore[arg-type]
    batch = fake_batch(DIGITS)
    plain = model.discriminator_loss(batch, SeededNoise(0, range(5)))
    model.r1 = 3.0
    penalised = model.discriminator_loss(batch, SeededNoise(0, range(5)))
    assert "r1" not in plain
    assert penalised["r1"] > 0.0
    torch.testing.assert_close(penalised["loss"], plain["loss"] + 1.5 * penalised["r1"])
    criterion = getattr(adversarial, f"{objective}_discriminator")
    with torch.no_grad():
        fake = model.generator(SeededNoise(0, range(5)).normal(model.latent), batch.label)
        expected = criterion(model.discriminator(batch.image, batch.label), model.discriminator(fake, batch.label))
    torch.testing.assert_close(plain["loss"], expected)


@pytest.mark.parametrize("mover", [0, 1])
def test_each_move_leaves_the_other_network_untouched(mover: int) -> None:
    torch.manual_seed(0)
    model, batch = DCGAN(DIGITS, channels=CHANNELS[8]), fake_batch(DIGITS)
    step, other = model.train_steps()[mover], model.train_steps()[1 - mover]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(step.module.parameters(), 0.1)
    step.loss(batch, StreamNoise(5))["loss"].backward()
    optimizer.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    assert all(name.startswith(step.name) for name in moved)
    assert not any(name.startswith(other.name) for name in moved)


def test_the_discriminators_move_costs_the_generator_no_gradient() -> None:
    model, batch = DCGAN(DIGITS, channels=CHANNELS[8]), fake_batch(DIGITS)
    model.discriminator_loss(batch, StreamNoise(5))["loss"].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert batch.image.requires_grad is False


def test_the_average_follows_the_generator_only() -> None:
    assert [(s.name, s.averaged) for s in DCGAN(DIGITS).train_steps()] == [
        ("discriminator", False),
        ("generator", True),
    ]


def test_the_discriminator_reads_the_label() -> None:
    torch.manual_seed(0)
    discriminator = DCGAN(DIGITS, channels=CHANNELS[8]).discriminator
    image = torch.randn(2, 1, 8, 8)
    a, b = (discriminator(image, torch.tensor(label)) for label in ([1, 2], [1, 3]))
    assert a[0] == b[0]
    assert a[1] != b[1]


def test_unconditional_ignores_the_datas_labels() -> None:
    model = DCGAN(DIGITS, conditional=False, channels=CHANNELS[8])
    assert not [name for name, _ in model.discriminator.named_parameters() if "label" in name]
    a = model.sample(SeededNoise(0, range(3)), Condition(torch.tensor([1, 2, 3])))
    b = model.sample(SeededNoise(0, range(3)), Condition())
    assert torch.equal(a, b)


def test_negative_penalty_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.r1 is -1"):
        DCGAN(DIGITS, r1=-1.0)


def test_a_constant_discriminator_has_no_penalty() -> None:
    model = DCGAN(DIGITS, channels=CHANNELS[8])
    for parameter in model.discriminator.parameters():
        nn.init.zeros_(parameter)
    losses = model.discriminator_loss(fake_batch(DIGITS), StreamNoise(5))
    assert losses["r1"].item() == 0.0
    assert losses["loss"].item() == pytest.approx(2 * math.log(2))
