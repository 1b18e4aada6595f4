"""U-Net and the convolutional halves: shapes, what they depend on, sizes they refuse."""

import pytest
import torch

from genbench.core import Conditioning, ConfigError, ImageSpec
from genbench.networks.convnet import Decoder, Encoder
from genbench.networks.unet import UNet

SIZES = [(8, (8, 16)), (28, (8, 16, 16)), (32, (8, 8, 16, 16))]


def awake(module: torch.nn.Module) -> torch.nn.Module:
    """The module with every weight drawn afresh, so that zero-initialised branches count."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.2, generator=generator)
    return module


@pytest.mark.parametrize(("size", "channels"), SIZES)
@pytest.mark.parametrize("colours", [1, 3])
def test_shapes(size: int, channels: tuple[int, ...], colours: int) -> None:
    spec = ImageSpec(colours, size, size)
    image, e = torch.randn(2, *spec.shape), torch.randn(2, 6)
    assert UNet(spec, channels, 1, 6, 2, 0.0)(image, torch.rand(2), Conditioning(e)).shape == image.shape
    assert Encoder(spec, channels, 6, 5)(image, e).shape == (2, 5)
    assert Decoder(spec, channels, 6, 5, colours)(torch.randn(2, 5), e).shape == image.shape


def test_unet_starts_at_zero() -> None:
    spec = ImageSpec(1, 8, 8)
    unet = UNet(spec, (8, 16), 2, 8, 2, 0.0)
    assert not unet(torch.randn(2, 1, 8, 8), torch.rand(2), Conditioning(torch.randn(2, 8))).any()


def test_unet_sees_image_time_and_embedding_of_its_own_image_only() -> None:
    spec = ImageSpec(1, 8, 8)
    unet = awake(UNet(spec, (8, 16), 1, 8, 2, 0.0)).double()
    x, t, e = (torch.rand(2, *s, dtype=torch.float64) for s in ((1, 8, 8), (), (8,)))
    out = unet(x, t, Conditioning(e))
    for which in range(3):
        changed = [v.clone() for v in (x, t, e)]
        changed[which][0] += 0.3
        difference = (unet(*changed[:2], Conditioning(changed[2])) - out).abs()
        assert difference[0].max() > 1e-4
        assert difference[1].max() < 1e-12


def test_corner_reaches_the_opposite_corner() -> None:
    unet = awake(UNet(ImageSpec(1, 8, 8), (8, 16), 1, 8, 2, 0.0)).double()
    x, t, e = (torch.rand(1, *s, dtype=torch.float64) for s in ((1, 8, 8), (), (8,)))
    before = unet(x, t, Conditioning(e))
    x[0, 0, 0, 0] += 0.5
    assert (unet(x, t, Conditioning(e)) - before)[0, 0, 7, 7].abs() > 1e-6


@pytest.mark.parametrize(
    "build",
    [
        lambda spec, c: UNet(spec, c, 1, 6, 2, 0.0),
        lambda spec, c: Encoder(spec, c, 6, 5),
        lambda spec, c: Decoder(spec, c, 6, 5, 1),
    ],
)
def test_size_that_cannot_be_halved_is_refused(build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match="at most 3 entries"):
        build(ImageSpec(1, 28, 28), (8, 8, 8, 8))
