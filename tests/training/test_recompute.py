"""Activation checkpointing: the same gradients to the last bit, of less that is kept."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from genbench.core import Batch, Conditioning, ConfigError, ImageSpec, SeededNoise
from genbench.families.autoregressive import PixelGPT, TokenSampler
from genbench.families.gan import DCGAN
from genbench.networks.backbone import Backbone
from genbench.networks.dit import DiT
from genbench.networks.unet import UNet
from genbench.networks.unet2d import UNet2D
from genbench.networks.unet2d_text import UNet2DText
from genbench.networks.uvit import UViT
from genbench.training.recompute import recompute, recomputed

SPEC = ImageSpec(1, 8, 8, 10, 17)
BACKBONES: dict[str, Callable[[], Backbone]] = {
    "dit": lambda: DiT(SPEC, patch=2, width=16, layers=3, heads=2, context=5),
    "uvit": lambda: UViT(SPEC, channels=(4,), width=8, layers=2, heads=2, context=5),
    "unet": lambda: UNet(SPEC, channels=(4, 8), blocks=1, embedding=8, heads=2, dropout=0.5),
    "unet2d": lambda: UNet2D(SPEC, channels=(4, 8), blocks=1, attention=(4,), embedding=8, dropout=0.5),
    "unet2d_text": lambda: UNet2DText(
        SPEC, channels=(4, 8), blocks=1, attention=(4,), heads=2, embedding=8, context=5, dropout=0.5
    ),
}


def awake(network: nn.Module) -> nn.Module:
    """In float64, without a weight that is zero, so that every branch has a gradient."""
    generator = torch.Generator().manual_seed(1)
    for parameter in network.double().parameters():
        with torch.no_grad():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return network.train()


def gradients(network: nn.Module, loss: Callable[[nn.Module], torch.Tensor]) -> tuple[dict[str, torch.Tensor], int]:
    """Gradients by name, and the bytes kept for them between forward and backward."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    torch.manual_seed(2)  # dropout
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        value = loss(network)
    value.backward()
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}, sum(kept.values())


def same_gradients_of_less(network: nn.Module, parts: int, loss: Callable[[nn.Module], torch.Tensor]) -> None:
    again = copy.deepcopy(network)
    recomputed(again.recomputable)
    assert len(again.recomputable) == parts
    assert again.state_dict().keys() == network.state_dict().keys()
    (ours, less), (theirs, kept) = gradients(again, loss), gradients(network, loss)
    assert ours.keys() == theirs.keys()
    assert all(value.abs().max() > 0 for value in ours.values())
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert less < 0.6 * kept


@pytest.mark.parametrize(("name", "parts"), [("dit", 3), ("uvit", 4), ("unet", 8), ("unet2d", 5), ("unet2d_text", 5)])
def test_a_backbones_gradients_are_bit_equal_of_less_that_is_kept(name: str, parts: int) -> None:
    torch.manual_seed(0)
    network = awake(BACKBONES[name]())
    x, t = torch.randn(4, 1, 8, 8, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    tokens = torch.randn(4, 3, 5, dtype=torch.float64) if network.context else None
    mask = torch.ones(4, 3, dtype=torch.bool) if network.context else None
    condition = Conditioning(torch.randn(4, network.embedding, dtype=torch.float64), tokens, mask)
    same_gradients_of_less(network, parts, lambda net: net(x, t, condition).square().mean())


def test_a_decoders_gradients_are_bit_equal_and_its_samples_what_they_were() -> None:
    torch.manual_seed(0)
    model = awake(PixelGPT(SPEC, TokenSampler(), True, width=8, layers=3, heads=2, dropout=0.5))
    image = torch.randint(0, 17, (4, 1, 8, 8)) * (2 / 16) - 1
    batch = Batch(image.double(), torch.arange(4), None, torch.arange(4))
    same_gradients_of_less(model, 3, lambda net: net.loss(batch, SeededNoise(0, range(4)))["loss"])

    model.eval()
    with torch.no_grad():
        before = model.sample(SeededNoise(0, range(4)), batch.condition)
        recompute(model)
        assert torch.equal(model.sample(SeededNoise(0, range(4)), batch.condition), before)


def test_a_model_that_has_nothing_to_recompute_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nothing of a DCGAN .*activation_checkpointing=false"):
        recompute(DCGAN(SPEC, channels=(8, 8)))
