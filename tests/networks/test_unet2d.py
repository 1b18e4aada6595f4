"""diffusers' U-Net as a backbone: published sizes, what reaches its output, sizes it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from genbench.core import Conditioning, ConfigError, ImageSpec
from genbench.networks.unet2d import UNet2D

CONF = Path(__file__).parents[2] / "conf" / "backbone"
CIFAR10 = ImageSpec(3, 32, 32)


def preset(name: str, spec: ImageSpec) -> UNet2D:
    values: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    return UNet2D(**{key: value for key, value in values.items() if key != "_target_"} | {"spec": spec})


@pytest.mark.parametrize(("name", "parameters"), [("ddpm_cifar10", 35_746_307), ("edm_cifar10", 55_738_627)])
def test_presets_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in preset(name, CIFAR10).parameters()) == parameters


def test_ddpm_is_configured_as_its_published_weights_are() -> None:
    with torch.device("meta"):
        config = preset("ddpm_cifar10", CIFAR10).unet.config
    assert config["down_block_types"] == ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D")
    assert config["up_block_types"] == ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    assert config["norm_num_groups"] == 32
    assert config["time_embedding_dim"] == 4 * config["block_out_channels"][0]


def small(outputs: int = 1) -> UNet2D:
    torch.manual_seed(0)
    unet = UNet2D(ImageSpec(1, 8, 8), (8, 12), 1, (4,), embedding=6, outputs=outputs)
    return unet.double()


def run(unet: UNet2D, x: Tensor, t: Tensor, e: Tensor) -> Tensor:
    return unet(x, t, Conditioning(e))


def test_zero_at_first() -> None:
    assert not run(small(), *(torch.rand(2, *s, dtype=torch.float64) for s in ((1, 8, 8), (), (6,)))).any()


def test_image_time_and_embedding_reach_the_output_of_their_own_image_only() -> None:
    unet = small()
    torch.nn.init.normal_(unet.unet.conv_out.weight)
    values = [torch.rand(2, *s, dtype=torch.float64) for s in ((1, 8, 8), (), (6,))]
    before = run(unet, *values)
    for which in range(3):
        changed = [v.clone() for v in values]
        changed[which][0] += 0.3
        difference = (run(unet, *changed) - before).abs()
        assert difference[0].max() > 1e-4
        assert difference[1].max() < 1e-12


def test_embedding_is_added_to_the_features_of_time() -> None:
    """So that an unconditional model is a plain UNet2DModel whose last time layer has the embedding in its bias."""
    unet = small()
    torch.nn.init.normal_(unet.unet.conv_out.weight)
    x, t, e = (torch.rand(2, *s, dtype=torch.float64) for s in ((1, 8, 8), (), (6,)))
    e[1] = e[0]
    expected = run(unet, x, t, e)
    with torch.no_grad():
        unet.unet.time_embedding.linear_2.bias += e[0]
    torch.testing.assert_close(run(unet, x, t, torch.zeros_like(e)), expected)


def test_two_outputs_are_twice_the_channels() -> None:
    assert run(small(outputs=2), torch.rand(2, 1, 8, 8).double(), torch.rand(2), torch.rand(2, 6)).shape == (2, 2, 8, 8)


def test_sizes_it_cannot_have_name_the_fix() -> None:
    with pytest.raises(ConfigError, match=r"backbone\.channels at most 3 entries"):
        preset("ddpm_cifar10", ImageSpec(1, 28, 28))
    with pytest.raises(ConfigError, match=r"backbone\.attention=\[16\] .* use backbone\.attention=\[28, 14, 7\]"):
        preset("edm_cifar10", ImageSpec(1, 28, 28))
