"""Label embeddings: classes, the null class, and label dropout."""

import pytest
import torch

from genbench.conditioning.label import LabelEmbedding
from genbench.core import ConfigError, ImageSpec, SeededNoise, StreamNoise

DIGITS = ImageSpec(1, 8, 8, num_classes=10, levels=17)
UNLABELLED = ImageSpec(1, 8, 8)


def test_rows_are_the_classes_and_the_null_class_comes_last() -> None:
    embed = LabelEmbedding(DIGITS, conditional=True, dim=4, nullable=True)
    assert embed.table.weight.shape == (11, 4)
    torch.testing.assert_close(embed(torch.tensor([3, 9]), 2), embed.table.weight[[3, 9]], rtol=0, atol=0)
    torch.testing.assert_close(embed(None, 3), embed.table.weight[10].expand(3, 4), rtol=0, atol=0)


def test_unconditional_embeds_every_label_alike() -> None:
    embed = LabelEmbedding(DIGITS, conditional=False, dim=4)
    assert embed.table.weight.shape == (1, 4)
    torch.testing.assert_close(embed(torch.tensor([3, 9]), 2), embed(None, 2), rtol=0, atol=0)


def test_conditional_without_labels_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.conditional=false"):
        LabelEmbedding(UNLABELLED, conditional=True, dim=4)
    with pytest.raises(ConfigError, match="give labels"):
        LabelEmbedding(DIGITS, conditional=True, dim=4)(None, 2)


def test_dropout_replaces_the_asked_share_by_the_null_class() -> None:
    embed = LabelEmbedding(DIGITS, conditional=True, dim=4, nullable=True)
    label = torch.arange(20_000) % 10
    torch.manual_seed(0)
    dropped = embed.drop(label, StreamNoise(20_000), 0.1)
    assert dropped is not None
    null = dropped == 10
    assert abs(null.double().mean().item() - 0.1) < 0.01  # 4.7 standard deviations
    assert torch.equal(dropped[~null], label[~null])


def test_dropout_of_zero_or_one_and_of_nothing() -> None:
    embed = LabelEmbedding(DIGITS, conditional=True, dim=4, nullable=True)
    label, noise = torch.arange(10), SeededNoise(0, range(10))
    assert embed.drop(label, noise, 0.0) is label
    assert embed.drop(None, noise, 0.5) is None
    dropped = embed.drop(label, noise, 1.0)
    assert dropped is not None
    assert dropped.tolist() == [10] * 10
