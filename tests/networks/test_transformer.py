"""The decoder transformer: causality, and the cache against the whole sequence."""

import pytest
import torch

from genbench.core import ConfigError
from genbench.networks.transformer import Transformer


@pytest.fixture
def transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer(width=24, layers=3, heads=4, outputs=7, dropout=0.0).double().eval()


def test_later_positions_do_not_reach_earlier_outputs(transformer: Transformer) -> None:
    x = torch.randn(2, 9, 24, dtype=torch.float64)
    before = transformer(x)
    x[:, 5] = torch.randn(2, 24, dtype=torch.float64)
    after = transformer(x)
    torch.testing.assert_close(after[:, :5], before[:, :5], rtol=0, atol=1e-12)
    assert (after - before)[:, 5:].abs().amax(dim=(0, 2)).min() > 1e-6


@pytest.mark.parametrize("prefix", [1, 4, 9])
def test_cached_logits_equal_those_of_the_whole_sequence(transformer: Transformer, prefix: int) -> None:
    x = torch.randn(3, 9, 24, dtype=torch.float64)
    cache = transformer.cache(batch=3, length=9)
    pieces = [transformer(x[:, :prefix], cache)]
    pieces += [transformer(x[:, i : i + 1], cache) for i in range(prefix, 9)]
    assert cache.filled == 9
    torch.testing.assert_close(torch.cat(pieces, dim=1), transformer(x), rtol=0, atol=1e-12)


def test_several_positions_after_cached_ones_are_refused(transformer: Transformer) -> None:
    cache = transformer.cache(batch=1, length=4)
    transformer(torch.zeros(1, 2, 24, dtype=torch.float64), cache)
    with pytest.raises(ValueError, match="one at a time"):
        transformer(torch.zeros(1, 2, 24, dtype=torch.float64), cache)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigError, match=r"model\.heads=5"):
        Transformer(width=24, layers=1, heads=5, outputs=7, dropout=0.0)
