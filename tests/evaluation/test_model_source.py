from collections.abc import Sequence
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from genbench.core import Condition, ConfigError, DataError, GenerativeModel, ImageSpec, Noise, TrainStep
from genbench.diffusion import times, weightings
from genbench.diffusion.objectives import Epsilon
from genbench.diffusion.samplers import DDIM
from genbench.diffusion.schedules import Cosine
from genbench.evaluation.sources import ModelSource
from genbench.families.diffusion import Diffusion
from genbench.families.gan import DCGAN
from genbench.networks.unet import UNet

SPEC = ImageSpec(1, 8, 8, num_classes=10, levels=17)


class Painter(GenerativeModel):
    """Shows its noise in the first row and its label in the rest; evaluates its network `steps` times."""

    def __init__(self, conditional: bool = True, steps: int = 3) -> None:
        super().__init__(SPEC, conditional)
        self.layer, self.steps = nn.Linear(1, 1), steps
        self.modes: list[bool] = []

    @property
    def network(self) -> nn.Module:
        return self.layer

    def train_steps(self) -> Sequence[TrainStep]:
        return []

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        self.modes.append(self.training)
        assert not torch.is_grad_enabled()
        for _ in range(self.steps):
            self.layer(torch.zeros(len(noise), 1))
        image = torch.zeros(len(noise), 1, 8, 8)
        if condition.label is not None:
            image += (condition.label[:, None, None, None] - 5) / 5.0
        image[:, :, 0] = noise.uniform(1, 8) * 2.0 - 1.0
        return image


def drawn(source: ModelSource, n: int, batch: int, seed: int = 0) -> Tensor:
    return torch.cat([image for image, _ in source.batches(n, batch, seed)])


def test_images_depend_on_their_index_and_seed_and_not_on_the_batch() -> None:
    source = ModelSource(Painter(), "painter")
    one_by_one = drawn(source, 23, 1)
    assert torch.equal(one_by_one, drawn(source, 23, 7))
    assert torch.equal(one_by_one[17:18], source.draw(0, [17])[0])
    assert not torch.equal(one_by_one[:, :, 0], drawn(source, 23, 7, seed=1)[:, :, 0])
    assert len(one_by_one[:, :, 0].unique(dim=0)) == 23


def test_image_i_is_asked_for_class_i_modulo_the_classes() -> None:
    image, label = ModelSource(Painter(), "painter").draw(0, range(5, 15))
    assert label is not None
    assert label.tolist() == [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]
    assert image[:, 0, 7, 7].argsort().tolist() == label.argsort().tolist()
    assert image.dtype == torch.uint8
    assert set((image.double() * 16 / 255).round().unique().tolist()) <= set(range(17))


def test_an_unconditional_model_is_asked_for_no_class() -> None:
    image, label = ModelSource(Painter(conditional=False), "painter").draw(0, range(4))
    assert label is None
    assert len(image[:, 0, 7, 7].unique()) == 1


def test_a_model_samples_in_evaluation_mode_and_is_left_as_it_was() -> None:
    model = Painter().train()
    ModelSource(model, "painter").draw(0, [0])
    assert model.modes == [False]
    assert model.training
    assert not model.layer._forward_hooks


def test_evaluations_are_counted_per_image() -> None:
    source = ModelSource(Painter(steps=3), "painter")
    drawn(source, 10, 4)
    assert source.cost is not None
    assert (source.cost.images, source.cost.evaluations, source.cost.nfe) == (10, 30, 3.0)
    assert source.cost.seconds_per_1k == pytest.approx(100.0 * source.cost.seconds)
    assert source.cost.seconds > 0.0


@pytest.mark.parametrize(("guidance", "nfe"), [(1.0, 4.0), (0.0, 4.0), (2.5, 8.0)])
def test_guidance_doubles_the_evaluations_of_diffusion(guidance: float, nfe: float) -> None:
    backbone = UNet(SPEC, (8, 16), blocks=1, embedding=16, heads=2)
    sampler = DDIM(steps=4, guidance=guidance)
    model = Diffusion(SPEC, Cosine(), Epsilon(), weightings.Uniform(), times.Uniform(), sampler, backbone)
    source = ModelSource(model, "ddpm")
    drawn(source, 6, 4)
    assert source.cost is not None
    assert source.cost.nfe == nfe


def test_a_gans_samples_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    source = ModelSource(DCGAN(SPEC, channels=(16, 32)), "dcgan")
    whole, single = drawn(source, 24, 24), drawn(source, 24, 5)
    # arithmetic in another order may tip a pixel that lies on the edge between two levels, no more
    assert float((whole != single).double().mean()) < 1e-3
    assert len(whole.unique(dim=0)) == 24
    assert source.cost is not None
    assert source.cost.nfe == 1.0


class Constant(Painter):
    """Paints the values it is given, one a pixel."""

    def __init__(self, value: Sequence[float], levels: int = 256) -> None:
        super().__init__(conditional=False)
        self.spec, self.value = ImageSpec(1, 1, len(value), levels=levels), torch.tensor(value)

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        return self.value.expand(len(noise), 1, 1, -1)


def test_floats_become_bytes_by_the_nearest_level_or_cut_short() -> None:
    # in bytes: below the range, 0, 0.49, 0.51, 127.5, 254.49, 254.51, 255, above
    value = [-7.0, -1.0, -1.0 + 0.49 / 127.5, -1.0 + 0.51 / 127.5, 0.003, 254.49 / 127.5 - 1.0, 254.51 / 127.5 - 1.0]
    model = Constant([*value, 1.0, 9.0])
    nearest = ModelSource(model, "nearest").draw(0, [0])[0].flatten().tolist()
    truncate = ModelSource(model, "truncate", rounding="truncate").draw(0, [0])[0].flatten().tolist()
    assert nearest == [0, 0, 0, 1, 128, 254, 255, 255, 255]
    assert truncate == [0, 0, 0, 0, 127, 254, 254, 255, 255]


def test_truncation_is_refused_for_fewer_levels() -> None:
    with pytest.raises(ConfigError, match=r"256 grey levels, the data have 17: set protocol\.rounding=nearest"):
        ModelSource(Constant([0.0], levels=17), "c", rounding="truncate")


@pytest.mark.parametrize("rounding", ["nearest", "truncate"])
def test_nan_is_not_judged_as_black(rounding: Literal["nearest", "truncate"]) -> None:
    source = ModelSource(Constant([0.0, float("nan")]), "broken", rounding=rounding)
    with pytest.raises(DataError, match="broken made NaN in 3 of 3 images"):
        source.draw(0, range(3))


class Reader(Painter):
    """Shows the length of its caption in the last pixel, in tens."""

    @property
    def reads_captions(self) -> bool:
        return True

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        image = super().sample(noise, condition)
        assert condition.caption is not None
        image[:, 0, 7, 7] = torch.tensor([len(caption) / 5.0 - 1.0 for caption in condition.caption])
        return image


def test_image_i_is_asked_for_prompt_i_modulo_the_prompts() -> None:
    source = ModelSource(Reader(conditional=False), "reader", prompts=["", "12345", "1234567890"])
    assert source.captions([4, 0, 2]) == ["12345", "", "1234567890"]
    image, label = source.draw(0, [4, 0, 2])
    assert label is None
    assert image[:, 0, 7, 7].tolist() == [128, 0, 255]


def test_a_model_that_reads_captions_needs_prompts_and_others_ignore_them() -> None:
    with pytest.raises(ConfigError, match=r"reader draws what captions say, .* give prompt='a small red circle'"):
        ModelSource(Reader(), "reader")
    assert ModelSource(Painter(), "painter", prompts=["a"]).captions([0, 1]) is None
