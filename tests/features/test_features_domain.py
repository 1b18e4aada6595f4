import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.data.digits import Digits
from genbench.features import DomainClassifier
from genbench.features.domain import SHIPPED
from genbench.features.fit import labelled_sha256

SHIPPED_DIGITS = SHIPPED / "digits.safetensors"
DIGITS = ImageSpec(1, 8, 8, num_classes=10, levels=17)


@pytest.fixture(scope="module")
def judge() -> DomainClassifier:
    return DomainClassifier()


def test_recorded_accuracy_is_the_accuracy_on_the_recorded_split(judge: DomainClassifier) -> None:
    split = Digits().table("test")
    test = split.take(range(len(split)))
    right = judge(test.image)["logits"].argmax(1) == test.label
    assert judge.record["test_accuracy"] == pytest.approx(float(right.double().mean()), abs=1e-6)
    assert judge.record["test_accuracy"] >= 0.98
    assert judge.record["test_sha256"] == labelled_sha256(test.image, test.label)


def test_it_was_trained_on_the_training_split_alone(judge: DomainClassifier) -> None:
    split = Digits().table("train")
    train = split.take(range(len(split)))
    assert judge.record["train_sha256"] == labelled_sha256(train.image, train.label)
    assert (judge.record["data"], judge.record["train_images"]) == ("digits", 1437)


def test_shipped_weights_are_small_and_fingerprinted_by_their_bytes(judge: DomainClassifier) -> None:
    content = SHIPPED_DIGITS.read_bytes()
    assert len(content) < 1_000_000
    assert judge.fingerprint == hashlib.sha256(content).hexdigest()


def test_features_are_64_wide_and_do_not_depend_on_the_batch(judge: DomainClassifier) -> None:
    image = Digits().table("test").take(range(50)).image
    whole = judge(image)
    assert whole["features"].shape == (50, 64)
    assert whole["logits"].shape == (50, 10)
    assert whole["features"].dtype == torch.float32
    alone = torch.cat([judge(image[i : i + 1])["features"] for i in range(50)])
    torch.testing.assert_close(alone, whole["features"], rtol=1e-5, atol=1e-4)


def test_it_survives_small_changes_that_keep_the_digit() -> None:
    # a judge that a shift of one pixel or a little noise upsets would judge itself
    judge, split = DomainClassifier(), Digits().table("test")
    test = split.take(range(len(split)))
    noise = torch.randn(test.image.shape, generator=torch.Generator().manual_seed(0)) * 16.0
    noisy = (test.image + noise).clamp(0, 255).to(torch.uint8)
    shifted = torch.nn.functional.pad(test.image, (0, 0, 1, 0))[:, :, :8]
    for image, least in ((noisy, 0.98), (shifted, 0.95)):
        assert float((judge(image)["logits"].argmax(1) == test.label).double().mean()) >= least


def test_nothing_in_it_is_trainable_and_it_is_in_evaluation_mode(judge: DomainClassifier) -> None:
    assert not any(p.requires_grad for p in judge.parameters())
    assert not any(module.training for module in judge.modules())


@pytest.mark.parametrize(
    "spec", [replace(DIGITS, height=28, width=28), replace(DIGITS, channels=3), replace(DIGITS, num_classes=0)]
)
def test_other_data_are_refused_with_the_fix(judge: DomainClassifier, spec: ImageSpec) -> None:
    judge.check(DIGITS)
    with pytest.raises(ConfigError, match="features=inception"):
        judge.check(spec)


def test_images_of_another_shape_or_kind_are_refused(judge: DomainClassifier) -> None:
    with pytest.raises(DataError, match=r"\(1, 8, 8\).*\(3, 8, 8\)"):
        judge(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    for wrong, said in (
        (torch.zeros(2, 1, 8, 8), r"float32 \[2, 1, 8, 8\]"),
        (torch.zeros(1, 8, 8).byte(), r"\[1, 8, 8\]"),
    ):
        with pytest.raises(DataError, match=f"uint8 images.*{said}.*to_uint8"):
            judge(wrong)


def test_its_distance_is_not_called_fid(judge: DomainClassifier) -> None:
    assert judge.name == "digits"


def test_unknown_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.safetensors cannot be read"):
        DomainClassifier(weights=tmp_path / "absent.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(SHIPPED_DIGITS.read_bytes()[:1000])
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    for name in ("cut", "foreign"):
        with pytest.raises(ConfigError, match=f"{name}.safetensors is not a domain classifier"):
            DomainClassifier(weights=tmp_path / f"{name}.safetensors")


def test_one_changed_weight_is_noticed(tmp_path: Path) -> None:
    content = bytearray(SHIPPED_DIGITS.read_bytes())
    content[-1] ^= 1
    (tmp_path / "changed.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match=r"changed\.safetensors holds other weights than were written .*features fit"):
        DomainClassifier(weights=tmp_path / "changed.safetensors")


def test_another_record_is_another_extractor_called_after_its_data(judge: DomainClassifier, tmp_path: Path) -> None:
    with safe_open(SHIPPED_DIGITS, framework="pt") as file:
        record = json.loads(file.metadata()["domain_classifier"])
    path = tmp_path / "mine.safetensors"
    save_file(load_file(SHIPPED_DIGITS), path, {"domain_classifier": json.dumps(record | {"data": "mine"})})
    mine = DomainClassifier(weights=path)
    assert mine.identity() != judge.identity()
    assert mine.name == "mine"
    assert DomainClassifier("ours", path).name == "ours"
