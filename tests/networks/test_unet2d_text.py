"""diffusers' U-Net with attention to a text: what reaches its output, and what it refuses."""

import pytest
import torch

from genbench.core import Conditioning, ConfigError, ImageSpec
from genbench.networks.unet2d_text import UNet2DText

SPEC = ImageSpec(1, 8, 8)


def small(outputs: int = 1, **kwargs: object) -> UNet2DText:
    torch.manual_seed(0)
    settings = {"channels": (8, 16), "attention": (8,), "heads": 2, "embedding": 6, "context": 5} | kwargs
    return UNet2DText(SPEC, outputs=outputs, **settings).double()  # type: ignore[arg-type]


def test_zero_at_first_then_all_that_is_there_reaches_the_output_of_its_own_image_only() -> None:
    unet = small()
    values = [torch.rand(2, *s, dtype=torch.float64) for s in ((1, 8, 8), (), (6,), (3, 5))]
    mask = torch.tensor([[True, True, False], [True, True, True]])

    def run(x: torch.Tensor, t: torch.Tensor, vector: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return unet(x, t, Conditioning(vector, tokens, mask))

    assert not run(*values).any()
    torch.nn.init.normal_(unet.unet.conv_out.weight)
    before = run(*values)
    for which in range(4):
        changed = [v.clone() for v in values]
        changed[which][0] += 0.3
        difference = (run(*changed) - before).abs()
        assert difference[0].max() > 1e-6
        assert difference[1].max() < 1e-12
    values[3][0, 2] += 10.0  # a token that is not there
    assert (run(*values) - before).abs().max() < 1e-12


def test_two_outputs_are_twice_the_channels() -> None:
    x, text = torch.rand(2, 1, 8, 8).double(), Conditioning(torch.rand(2, 6).double(), torch.rand(2, 3, 5).double())
    assert small(outputs=2)(x, torch.rand(2), text).shape == (2, 2, 8, 8)


def test_sizes_it_cannot_have_name_the_fix() -> None:
    with pytest.raises(ConfigError, match=r"backbone\.attention=\[16\] .* use backbone\.attention=\[8, 4\]"):
        small(attention=(16,))
    with pytest.raises(ConfigError, match=r"backbone\.heads=3"):
        small(heads=3)
    with pytest.raises(ConfigError, match=r"backbone\.channels at most 4 entries"):
        small(channels=(8, 8, 8, 8, 8))
