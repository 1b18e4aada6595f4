import pytest

from genbench.core import ConfigError
from genbench.training.every import Every


def acts(every: Every, counts: range) -> list[int]:
    return [count for count in counts if every.due(count)]


def test_due_once_for_every_multiple_that_is_passed() -> None:
    assert acts(Every(100, "log_every"), range(32, 420, 32)) == [128, 224, 320, 416]
    assert acts(Every(64, "log_every"), range(64, 257, 64)) == [64, 128, 192, 256]
    assert acts(Every(10, "log_every"), range(32, 129, 32)) == [32, 64, 96, 128]


@pytest.mark.parametrize("cut", range(32, 420, 32))
def test_a_resumed_count_acts_where_an_undisturbed_one_does(cut: int) -> None:
    whole, resumed = Every(100, "log_every"), Every(100, "log_every")
    resumed.start(cut)
    later = range(cut + 32, 420, 32)
    assert acts(resumed, later) == [count for count in acts(whole, range(32, 420, 32)) if count in later]


def test_less_than_one_image_is_refused_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"training\.preview_every is 0"):
        Every(0, "preview_every")
