"""Diffusion that reads captions: what they change, what an empty one means, and every choice that goes with them."""

from collections.abc import Sequence

import pytest
import torch
from small_models import CAPTIONS, CHANNELS, WORDS, awake, diffusion, fake_batch, text_to_image
from torch import Tensor

from genbench.conditioning.text.bag_of_words import BagOfWords
from genbench.conditioning.text.base import Tokens
from genbench.conditioning.text.conditioner import drop_captions
from genbench.conditioning.text.frozen import FrozenTextEncoder
from genbench.conditioning.text.learned import LearnedEncoder
from genbench.core import Condition, ConfigError, ImageSpec, SeededNoise, StreamNoise
from genbench.diffusion import objectives, samplers, schedules
from genbench.diffusion.couplings import OptimalTransport
from genbench.diffusion.guidance import Guidance
from genbench.diffusion.likelihoods import VariationalBound
from genbench.families.diffusion import Diffusion
from genbench.networks.unet import UNet
from genbench.networks.unet2d_text import UNet2DText

SPEC = ImageSpec(1, 8, 8, captions=True)


class Letters(FrozenTextEncoder):
    """A frozen encoder of one token a letter, which writes `padding` where a caption has ended."""

    def __init__(self, padding: float = 0.0) -> None:
        super().__init__(6, 100)
        self.padding = padding

    @property
    def identity(self) -> dict[str, object]:
        return {}

    def encode(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        return [torch.stack([torch.cos(ord(c) * torch.arange(1.0, 7.0)) for c in text]) for text in captions]

    def read(self, captions: Sequence[str], device: torch.device) -> Tokens:
        states, mask = super().read(captions, device)
        return Tokens(torch.where(mask[..., None], states, self.padding), mask)


class Doubles(SeededNoise):
    """Noise in float64, where a step size chosen by a random network does not magnify rounding."""

    def normal(self, *shape: int) -> Tensor:
        return super().normal(*shape).double()


def denoised(model: Diffusion, captions: Sequence[str] | None, scale: float = 1.0, n: int = 4) -> Tensor:
    """The expected images behind the same n noisy ones, of a model with all its branches awake."""
    x = torch.randn(n, *model.spec.shape, generator=torch.Generator().manual_seed(1))
    condition = Condition(caption=None if captions is None else list(captions))
    with torch.no_grad():
        return model.denoiser(condition, n, Guidance(scale), "none")(x, torch.tensor(0.4, dtype=torch.float64))


def small(**others: object) -> Diffusion:
    model = awake(text_to_image(SPEC, **others))  # type: ignore[arg-type]
    assert isinstance(model, Diffusion)
    return model


ENCODERS = {
    "frozen": Letters,
    "learned": lambda: LearnedEncoder(8, 1, 2, 16, WORDS),
    "bag": lambda: BagOfWords(8, 16, WORDS),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_caption_steers_its_own_image_and_no_other(name: str) -> None:
    model = small(encoder=ENCODERS[name]())
    before = denoised(model, ["a red circle", "a blue circle", "", "a circle above a square"])
    after = denoised(model, ["a red circle", "a blue square", "", "a circle above a square"])
    difference = (after - before).abs().flatten(1).amax(1)
    assert difference[1] > 1e-3
    assert difference[[0, 2, 3]].max() < 1e-5


@pytest.mark.parametrize("name", ENCODERS)
def test_a_longer_caption_beside_it_changes_nothing(name: str) -> None:
    model = small(encoder=ENCODERS[name]())
    short = denoised(model, ["a red circle"] * 4)
    beside = denoised(model, ["a red circle", "a small blue square above a red circle", *["a red circle"] * 2])
    torch.testing.assert_close(beside[[0, 2, 3]], short[[0, 2, 3]], atol=1e-5, rtol=0)
    assert (beside[1] - short[1]).abs().max() > 1e-3


def test_what_stands_after_a_captions_end_is_never_looked_at() -> None:
    captions = ["a red circle", "a", "a blue square", ""]
    clean, dirty = small(encoder=Letters()), small(encoder=Letters(padding=100.0))
    torch.testing.assert_close(denoised(clean, captions), denoised(dirty, captions))


def test_the_order_of_words_is_seen_by_a_language_model_and_not_by_a_bag() -> None:
    one, two = ["a red circle above a blue square"] * 4, ["a blue square above a red circle"] * 4
    learned, bag = (small(encoder=ENCODERS[name]()) for name in ("learned", "bag"))
    assert (denoised(learned, one) - denoised(learned, two)).abs().max() > 1e-3
    assert (denoised(bag, one) - denoised(bag, two)).abs().max() < 1e-5


def test_guidance_of_one_is_the_caption_and_of_none_the_null_token() -> None:
    model = small()
    captions = ["a red circle", "a small blue square above a red circle", "", "a blue circle"]
    conditional, null = denoised(model, captions), denoised(model, None)
    torch.testing.assert_close(denoised(model, captions, 0.0), null)
    torch.testing.assert_close(denoised(model, captions, 3.0), null + 3.0 * (conditional - null), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(conditional[2], null[2])  # an empty caption is none
    torch.testing.assert_close(denoised(model, ["", "  ", "\n", ""]), null)
    assert (conditional - null)[[0, 1, 3]].abs().flatten(1).amax(1).min() > 1e-3


def test_frozen_encoders_are_no_part_of_the_model_and_learned_ones_are() -> None:
    frozen, learned = small(encoder=Letters()), small()
    assert not any("encoder" in name for name in frozen.state_dict())
    assert "text.encoder.table.weight" in learned.state_dict()
    twin = text_to_image(SPEC, encoder=Letters()).eval()
    twin.load_state_dict(frozen.state_dict())
    drawn = [model.sample(SeededNoise(3, range(4)), Condition(caption=CAPTIONS)).detach() for model in (frozen, twin)]
    assert torch.equal(*drawn)


@pytest.mark.parametrize("backbone", ["dit", "unet2d_text", "pooled"])
def test_losses_reach_every_weight(backbone: str) -> None:
    network = {
        "dit": lambda: None,
        "unet2d_text": lambda: UNet2DText(SPEC, (8, 16), 1, (4,), 2, embedding=8, context=12),
        "pooled": lambda: UNet(SPEC, CHANNELS[8], 1, 8, 2),
    }[backbone]()
    encoder = LearnedEncoder(8, 1, 2, 16, WORDS)
    model = text_to_image(SPEC) if network is None else diffusion(SPEC, samplers.DDIM(4), network, text_encoder=encoder)
    awake(model).train()
    loss = model.loss(fake_batch(SPEC, 6), StreamNoise(6))["loss"]
    loss.backward()
    assert loss.isfinite()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


OBJECTIVES = [objectives.X0(), objectives.Epsilon(), objectives.V(), objectives.Velocity(), objectives.EDM()]
SCHEDULES = [schedules.Cosine(), schedules.Linear(), schedules.EDM(), schedules.Flow()]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_every_schedule_and_objective_reads_captions(objective, schedule) -> None:
    if isinstance(objective, objectives.Epsilon) and isinstance(schedule, schedules.Flow):
        pytest.skip("refused with or without a text")
    model = small(schedule=schedule, objective=objective)
    assert model.loss(fake_batch(SPEC), StreamNoise(5))["loss"].isfinite()
    with torch.no_grad():
        drawn = [model.sample(SeededNoise(0, range(4)), Condition(caption=[c] * 4)) for c in ("red", "blue circle")]
    assert (drawn[0] - drawn[1]).abs().max() > 1e-4


@pytest.mark.parametrize(
    "sampler",
    [samplers.DDPM(4), samplers.Heun(3), samplers.DPMSolver2M(3), samplers.Adaptive(), samplers.Midpoint(2)],
    ids=lambda s: type(s).__name__,
)
def test_samples_do_not_depend_on_the_batch_they_are_drawn_in(sampler) -> None:
    model = small(sampler=sampler).double()
    with torch.no_grad():
        together = model.sample(Doubles(3, range(4)), Condition(caption=CAPTIONS))
        apart = [model.sample(Doubles(3, [i]), Condition(caption=[text])) for i, text in enumerate(CAPTIONS)]
    torch.testing.assert_close(together, torch.cat(apart), atol=1e-9, rtol=0)


def test_a_learned_variance_and_autoguidance_go_with_captions() -> None:
    model = small(objective=objectives.LearnedVariance(objectives.Epsilon()), outputs=2)
    assert model.loss(fake_batch(SPEC), StreamNoise(5))["bound_bits"].isfinite()
    good, worse = small(encoder=BagOfWords(8, 16, WORDS)), small()
    good.guide_by(worse)
    captions = CAPTIONS[:4]
    alone = small(encoder=BagOfWords(8, 16, WORDS))
    a, b = denoised(alone, captions), denoised(worse, captions)
    torch.testing.assert_close(denoised(good, captions, 2.0), b + 2.0 * (a - b), atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="give a run that was trained on the same data"):
        good.guide_by(diffusion(SPEC, samplers.DDIM(2), UNet(SPEC, CHANNELS[8], 1), conditional=False))


def test_bits_are_those_of_images_under_their_captions() -> None:
    model = small(likelihood=VariationalBound(steps=100, draws=2))
    batch, bits = fake_batch(SPEC, 2), []
    for caption in (["a red circle"] * 2, ["a blue square", "a red circle"]):
        asked = type(batch)(batch.image, None, caption, batch.index)
        found = model.likelihood(asked, SeededNoise(0, range(2)))
        assert found is not None
        bits.append(found.bits_per_dim)
    assert (bits[0] - bits[1]).abs()[0] > 1e-3
    assert (bits[0] - bits[1]).abs()[1] < 1e-3


def test_captions_are_dropped_at_the_rate_asked_for() -> None:
    torch.manual_seed(0)
    kept = drop_captions(["a"] * 20_000, StreamNoise(20_000), 0.1)
    assert kept is not None
    assert kept.count("") == pytest.approx(2000, abs=4 * (20_000 * 0.1 * 0.9) ** 0.5)
    assert drop_captions(["a", "b"], StreamNoise(2), 0.0) == ["a", "b"]


def test_noise_is_paired_within_a_caption() -> None:
    model = small(coupling=OptimalTransport())
    batch = fake_batch(SPEC, 6)
    assert model.groups(batch).tolist() == [0, 1, 2, 3, 0, 1]  # type: ignore[union-attr]
    assert model.loss(batch, StreamNoise(6))["loss"].isfinite()


def test_words_never_seen_are_left_out_and_a_caption_of_them_alone_is_empty(caplog: pytest.LogCaptureFixture) -> None:
    model = small()
    torch.testing.assert_close(denoised(model, ["a purple circle"] * 4), denoised(model, ["a circle"] * 4))
    (record,) = caplog.records
    assert record.getMessage() == "words that the training captions never had are left out: purple"
    mixed = denoised(model, ["purple haze", "a circle", "purple haze", ""])
    assert torch.equal(mixed[[1]], denoised(model, ["", "a circle", "", ""])[[1]])
    torch.testing.assert_close(mixed[::2], denoised(model, ["", "", "", ""])[::2])
    assert [record.getMessage() for record in caplog.records[1:]] == [
        "words that the training captions never had are left out: haze"
    ]


def test_what_does_not_go_with_captions_names_the_fix() -> None:
    with pytest.raises(ConfigError, match="use data=shapes, an npz"):
        text_to_image(ImageSpec(1, 8, 8))
    with pytest.raises(ConfigError, match=r"use model\.conditional=true, or text_encoder=none"):
        text_to_image(SPEC, conditional=False)
    with pytest.raises(ConfigError, match=r"sampler\.guidance=3 needs .* model\.label_dropout=0\.1"):
        text_to_image(SPEC, samplers.DDIM(2, guidance=3.0), label_dropout=0.0)
    always = small(label_dropout=0.0)
    assert always.text is not None
    assert always.text.null is None
    with pytest.raises(ConfigError, match="one is missing, empty or without a known word: give"):
        denoised(always, ["a red circle", "", "a", "a"])
    with pytest.raises(ConfigError, match=r"text_encoder\.vocabulary"):
        BagOfWords()
