"""The U-ViT: what it starts as, what reaches its output, its size, and the sizes it refuses."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from genbench.core import Conditioning, ConfigError, ImageSpec
from genbench.networks.dit import PAIRS
from genbench.networks.uvit import UViT

SPEC = ImageSpec(1, 8, 12)


def small(spec: ImageSpec = SPEC, **kwargs: object) -> UViT:
    torch.manual_seed(0)
    settings = {"channels": (4, 8), "width": 16, "layers": 2, "heads": 2, "context": 5} | kwargs
    return UViT(spec, **settings).double()  # type: ignore[arg-type]


def awake(net: UViT) -> UViT:
    """The network with every weight drawn afresh, so that zero-initialised branches count."""
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        parameter.data.normal_(std=0.3, generator=generator)
    return net


def test_zero_at_first_then_all_that_is_there_reaches_the_output_of_its_own_image_only() -> None:
    values = [torch.rand(2, *s, dtype=torch.float64) for s in (SPEC.shape, (), (16,), (3, 5))]
    mask = torch.tensor([[True, True, False], [True, True, True]])

    def run(net: UViT, x: Tensor, t: Tensor, vector: Tensor, tokens: Tensor) -> Tensor:
        return net(x, t, Conditioning(vector, tokens, mask))

    assert not run(small(), *values).any()
    net = awake(small())
    before = run(net, *values)
    for which in range(4):
        changed = [v.clone() for v in values]
        changed[which][0] += 0.3
        difference = (run(net, *changed) - before).abs()
        assert difference[0].max() > 1e-6
        assert difference[1].max() < 1e-12
    values[3][0, 2] += 10.0  # a token that is not there
    assert (run(net, *values) - before).abs().max() < 1e-12


def test_a_pixel_reaches_the_far_corner_through_the_tokens() -> None:
    net = awake(small(ImageSpec(1, 32, 32), context=None))
    x, t, vector = torch.rand(1, 1, 32, 32).double(), torch.rand(1).double(), torch.rand(1, 16).double()
    before = net(x, t, Conditioning(vector))
    x[0, 0, 0, 0] += 0.5
    assert (net(x, t, Conditioning(vector)) - before).abs()[0, 0, 31, 31] > 1e-9


def test_a_token_paints_its_own_square_of_the_image() -> None:
    net = small(ImageSpec(3, 16, 24), patch=2, channels=(4,))  # tokens for squares of 4x4 pixels
    for parameter in net.shrink.parameters():
        parameter.data.zero_()  # so that a token is its position
    net.paint.weight.data.normal_()
    image = net(torch.rand(1, 3, 16, 24).double(), torch.rand(1).double(), Conditioning(torch.rand(1, 16).double()))
    painted = net.paint(net.position).unflatten(0, (4, 6))
    for row, column in ((0, 0), (1, 4), (3, 5)):
        square = image[0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        # the outputs in order: colour and place within the patch, then the patch within the square
        expected = painted[row, column].reshape(3, 2, 2, 2, 2).permute(0, 3, 1, 4, 2).reshape(3, 4, 4)
        torch.testing.assert_close(square, expected, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize(("context", "outputs"), [(None, 2), (24, 1)])
def test_parameters_are_those_of_the_formula(context: int | None, outputs: int) -> None:
    spec, c, d, layers, heads = ImageSpec(3, 16, 16), 8, 32, 3, 4
    net = UViT(spec, [c], d, layers, heads, outputs, context)

    def res(inputs: int, out: int) -> int:
        skip = 0 if inputs == out else inputs * out + out
        return 2 * inputs + 9 * inputs * out + out + 2 * out + 9 * out * out + out + (d * 2 * out + 2 * out) + skip

    parts = 6 if context is None else 9
    block = 4 * d * d + 4 * d + 2 * (d // heads) + 8 * d * d + 5 * d + parts * (d * d + d)
    if context is not None:
        block += 2 * (d * d + d) + 2 * (context * d + d) + 2 * (d // heads)
    time = (2 * PAIRS * d + d) + (d * d + d)
    ends = (27 * c + c) + 2 * c + outputs * (27 * c + 3)
    resample = (4 * c * d + d) + (4 * c * d + c)
    painting = (d + 1) * outputs * 3 * 4
    expected = time + ends + res(c, c) + res(2 * c, c) + resample + painting + 64 * d + layers * block
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


def test_on_patches_it_is_the_network_of_a_smaller_image_with_more_channels() -> None:
    large = small(ImageSpec(3, 16, 24), patch=2, outputs=2)
    fine = small(ImageSpec(12, 8, 12), outputs=2)
    awake(large), awake(fine)
    x, t, vector, tokens = (torch.rand(2, *s, dtype=torch.float64) for s in ((3, 16, 24), (), (16,), (3, 5)))
    condition = Conditioning(vector, tokens, torch.ones(2, 3, dtype=torch.bool))
    expected = F.pixel_shuffle(fine(F.pixel_unshuffle(x, 2), t, condition), 2)
    torch.testing.assert_close(large(x, t, condition), expected, rtol=0.0, atol=0.0)
    assert expected.shape == (2, 6, 16, 24)


def test_sizes_it_cannot_have_name_the_fix() -> None:
    with pytest.raises(ConfigError, match=r"backbone\.heads=3"):
        small(heads=3)
    with pytest.raises(ConfigError, match=r"backbone\.channels at most 2 entries"):
        small(channels=(4, 4, 4))
    with pytest.raises(ConfigError, match=r"no layers: give backbone\.channels"):
        small(channels=())
    with pytest.raises(ConfigError, match=r"backbone\.patch=3 does not tile images of 8x12: use one of \[1, 2, 4\]"):
        small(patch=3)
    with pytest.raises(ConfigError, match=r"after backbone\.patch=2, .* backbone\.channels at most 1 entries"):
        small(patch=2, channels=(4, 4))
