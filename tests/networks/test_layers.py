"""Layers: normalisation by group, position features, sizes that cannot be halved, heads that do not divide."""

import math

import pytest
import torch
from torch import nn

from genbench.core import ConfigError
from genbench.networks.layers import ResBlock, SelfAttention2d, coarsest, group_norm, head_width, sinusoidal


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 1), (32, 8), (33, 3), (48, 12), (128, 32), (512, 32)])
def test_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


def test_sinusoidal_is_cosine_and_sine_of_a_geometric_series() -> None:
    features = sinusoidal(torch.tensor([0.0, 3.0], dtype=torch.float64), pairs=4)
    angles = [3.0 * 10_000.0 ** (-i / 4) for i in range(4)]
    expected = torch.tensor([[1.0] * 4 + [0.0] * 4, [math.cos(a) for a in angles] + [math.sin(a) for a in angles]])
    torch.testing.assert_close(features, expected)


def test_coarsest_halves_exactly() -> None:
    assert coarsest(28, 32, 2, "the U-Net") == (7, 8)
    assert coarsest(7, 5, 0, "the U-Net") == (7, 5)


def test_size_that_cannot_be_halved_names_both_fixes() -> None:
    with pytest.raises(ConfigError) as error:
        coarsest(28, 30, 3, "the U-Net")
    assert "divisible by 8, but images are 28x30" in str(error.value)
    assert "model.channels at most 2 entries" in str(error.value)
    assert "resize the data to 32x32" in str(error.value)


def test_no_channels_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one entry"):
        coarsest(8, 8, -1, "the encoder")


def test_heads_that_do_not_divide_name_those_that_do() -> None:
    assert head_width(96, 4) == 24
    with pytest.raises(ConfigError, match=r"model\.heads=5 .* 96: use one of \[1, 2, 4, 8, 16\]"):
        head_width(96, 5)
    with pytest.raises(ConfigError, match=r"model\.heads=0"):
        SelfAttention2d(32, heads=0)


@pytest.mark.parametrize("embedding", [0, 5])
def test_residual_block_starts_as_its_skip(embedding: int) -> None:
    torch.manual_seed(0)
    x, e = torch.randn(3, 8, 4, 4), torch.randn(3, 5) if embedding else None
    same, wider = ResBlock(8, 8, embedding), ResBlock(8, 12, embedding)
    torch.testing.assert_close(same(x, e), x, rtol=0, atol=0)
    torch.testing.assert_close(wider(x, e), wider.skip(x), rtol=0, atol=0)


def test_attention_starts_as_identity_and_then_mixes_positions_within_an_image_only() -> None:
    torch.manual_seed(0)
    attention = SelfAttention2d(8, heads=2).double()
    x = torch.randn(2, 8, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(attention(x), x, rtol=0, atol=0)
    nn.init.normal_(attention.out.weight)
    before, x[0, :, 0, 0] = attention(x), 7.0
    after = attention(x)
    assert (after - before)[0, :, 2, 2].abs().max() > 1e-3
    torch.testing.assert_close(after[1], before[1], rtol=0, atol=0)


def test_attention_equals_the_textbook_formula() -> None:
    torch.manual_seed(0)
    attention = SelfAttention2d(8, heads=2).double()
    nn.init.normal_(attention.out.weight)
    x = torch.randn(2, 8, 2, 3, dtype=torch.float64)
    qkv = attention.qkv(attention.norm(x)).flatten(2)  # [B, 3*8, 6]
    heads = []
    for h in range(2):
        q, k, v = (qkv[:, 8 * part + 4 * h : 8 * part + 4 * h + 4].transpose(1, 2) for part in range(3))
        heads.append(((q @ k.transpose(1, 2) / 4**0.5).softmax(-1) @ v).transpose(1, 2))
    expected = x + attention.out(torch.cat(heads, dim=1).unflatten(2, (2, 3)))
    torch.testing.assert_close(attention(x), expected)
