import math
from dataclasses import replace

import pytest

from genbench.core import ImageSpec
from genbench.data.digits import Digits
from genbench.evaluation import Judge, Protocol, Reference, Result
from genbench.evaluation.controls import controls
from genbench.evaluation.sources import TableSource
from genbench.features import DomainClassifier
from genbench.metrics import (
    Accuracy,
    DensityCoverage,
    FeatureLikelihood,
    FrechetDistance,
    InceptionScore,
    Memorisation,
    PrecisionRecall,
)

DIGITS = Digits()
METRICS = {
    "fd": FrechetDistance(),
    "is": InceptionScore(5),
    "precision_recall": PrecisionRecall(3),
    "density_coverage": DensityCoverage(3),
    "fld": FeatureLikelihood(),
    "memorisation": Memorisation(),
    "accuracy": Accuracy(),
}


def made(protocol: Protocol) -> tuple[Judge, dict[str, Result]]:
    extractor = DomainClassifier()
    splits = {
        split: Reference.read(TableSource(DIGITS.table(split), f"digits {split}"), extractor)
        for split in ("train", "test")
    }
    spec = ImageSpec(1, 8, 8, num_classes=10, levels=17)
    judge = Judge(spec, protocol, extractor, METRICS, splits[protocol.reference], splits)
    return judge, controls(judge, DIGITS.table("train"), DIGITS.table("test"), "digits")


@pytest.fixture(scope="module")
def against_test() -> tuple[Judge, dict[str, Result]]:
    return made(Protocol("t", samples=700, repeats=2, is_splits=5))


def test_every_control_stands_under_the_judges_own_hash(against_test: tuple[Judge, dict[str, Result]]) -> None:
    judge, rows = against_test
    assert list(rows) == ["real", "train copy", "noise", "blur", "one mode"]
    assert {row["protocol"] for row in rows.values()} == {judge.hash}


def test_quality_lies_where_it_must(against_test: tuple[Judge, dict[str, Result]]) -> None:
    _, rows = against_test
    real, noise, blur, mode = (rows[name] for name in ("real", "noise", "blur", "one mode"))
    assert real["fd"] < 0.02 * noise["fd"]
    assert 2 * real["fd"] < blur["fd"] < noise["fd"]
    assert mode["fd"] > 10 * real["fd"]
    assert real["is"] > 9.0 > 4.0 > noise["is"]
    assert mode["is"] < 1.5
    assert real["accuracy"] > 0.99
    # a digit is asked for by index: one image in ten is called so by chance, and of one class exactly one in ten
    assert 0.05 < noise["accuracy"] < 0.15
    assert mode["accuracy"] == pytest.approx(0.1, abs=0.01)
    # one class looks real and covers a tenth of the data
    assert mode["precision"] > 0.8 > 0.25 > mode["recall"]
    # one outlying real image makes noise "precise" (its ball is that wide), which coverage does not fall for
    assert noise["coverage"] < 0.2
    assert real["coverage"] > 0.8


def test_memorisation_is_flagged_in_the_copy_and_not_in_real_images(
    against_test: tuple[Judge, dict[str, Result]],
) -> None:
    _, rows = against_test
    copy, real = rows["train copy"], rows["real"]
    assert copy["ct"] < -5.0
    assert copy["auth"] == 0.0
    assert abs(real["ct"]) < 3.0
    assert real["auth"] > 0.2
    # the same images by another name: their quality is equal
    assert copy["fd"] == real["fd"]


def test_against_a_training_reference_the_test_split_is_the_real_control() -> None:
    _, rows = made(Protocol("t", samples=360, reference="train", repeats=1, is_splits=5))
    assert rows["real"]["ct"] == pytest.approx(0.0, abs=3.0)
    assert rows["train copy"]["ct"] < -5.0


def test_a_split_that_is_too_small_is_judged_under_a_protocol_of_its_own() -> None:
    judge, rows = made(Protocol("t", samples=1500, repeats=1, is_splits=5))
    assert rows["train copy"]["samples"] == rows["real"]["samples"] == 1437
    assert rows["train copy"]["protocol"] != rows["noise"]["protocol"] == judge.hash
    # no training image is left over to compare with
    assert rows["real"]["ct"] is None
    assert rows["real"]["auth"] is None
    assert not math.isnan(rows["real"]["fd"])
    assert replace(judge.protocol, samples=1437).samples == rows["blur"]["samples"]
