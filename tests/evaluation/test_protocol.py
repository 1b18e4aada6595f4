from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor

from genbench.core import ConfigError, ImageSpec
from genbench.evaluation import Protocol, short_hash
from genbench.features import FeatureExtractor


class Named(FeatureExtractor):
    def __init__(self, name: str = "named", fingerprint: str = "0" * 64, preprocessing: str = "none") -> None:
        super().__init__(name, fingerprint, preprocessing, classifies=False)

    def check(self, spec: ImageSpec) -> None:
        pass

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError


PROTOCOL = Protocol("p", samples=1000, reference="test", repeats=3, is_splits=5)
SHA = "a" * 64


def hash_of(
    protocol: Protocol = PROTOCOL,
    extractor: FeatureExtractor | None = None,
    sha: str = SHA,
    sampler: Any = None,
    levels: int = 256,
) -> str:
    reference = {"split": protocol.reference, "sha256": sha}
    return short_hash(protocol.identity(extractor or Named(), levels, reference, sampler))


def test_the_hash_never_changes_by_accident() -> None:
    # a published number carries this hash: change the fields on purpose only
    assert hash_of() == "7f4a7872c6"


def test_the_hash_is_ten_hex_digits_and_ignores_the_order_of_keys() -> None:
    identity = PROTOCOL.identity(Named(), 256, {"sha256": SHA})
    assert short_hash(dict(reversed(identity.items()))) == short_hash(identity)
    assert len(hash_of()) == 10
    assert int(hash_of(), 16) >= 0


@pytest.mark.parametrize(
    "changed",
    [
        lambda: hash_of(replace(PROTOCOL, samples=999)),
        lambda: hash_of(replace(PROTOCOL, reference="train")),
        lambda: hash_of(replace(PROTOCOL, repeats=2)),
        lambda: hash_of(replace(PROTOCOL, is_splits=10)),
        lambda: hash_of(replace(PROTOCOL, is_shuffle=False)),
        lambda: hash_of(replace(PROTOCOL, kid_subsets=10)),
        lambda: hash_of(replace(PROTOCOL, kid_subset_size=100)),
        lambda: hash_of(replace(PROTOCOL, neighbours=5)),
        lambda: hash_of(replace(PROTOCOL, rounding="truncate")),
        lambda: hash_of(replace(PROTOCOL, weights="raw")),
        lambda: hash_of(sampler={"_target_": "DDIM", "steps": 50}),
        lambda: hash_of(extractor=Named(name="other")),
        lambda: hash_of(extractor=Named(fingerprint="1" * 64)),
        lambda: hash_of(extractor=Named(preprocessing="bicubic")),
        lambda: hash_of(sha="b" * 64),
        lambda: hash_of(levels=17),
    ],
)
def test_any_field_that_moves_a_score_changes_the_hash(changed: Callable[[], str]) -> None:
    assert changed() != hash_of()


def test_a_name_moves_no_score() -> None:
    assert hash_of(replace(PROTOCOL, name="q")) == hash_of()


@pytest.mark.parametrize(
    "wrong",
    [{"samples": 1}, {"repeats": 0}, {"is_splits": 0}, {"kid_subsets": 0}, {"kid_subset_size": 1}, {"neighbours": 0}],
)
def test_impossible_counts_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"protocol.{next(iter(wrong))} is .*expected at least"):
        replace(PROTOCOL, **wrong)
