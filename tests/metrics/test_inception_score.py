import math

import pytest
import torch
from clouds import error, evidence, held, normal, of_logits, value
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric

from genbench.core import ConfigError, DataError
from genbench.metrics import Accuracy, InceptionScore


def score(logits: Tensor, splits: int = 1, shuffle: bool = True) -> float:
    return value(InceptionScore(splits, shuffle), evidence(of_logits(logits), of_logits(logits)), "is")


@pytest.mark.parametrize("classes", [2, 10])
def test_it_is_the_number_of_classes_for_sure_and_balanced_predictions(classes: int) -> None:
    assert score(torch.eye(classes).repeat(30, 1) * 100.0) == pytest.approx(classes, rel=1e-9)


def test_it_is_one_for_predictions_that_are_all_alike() -> None:
    for logits in (torch.zeros(40, 10), torch.eye(10)[3].repeat(40, 1) * 100.0):
        assert score(logits, 4) == pytest.approx(1.0, rel=1e-9)
        assert error(InceptionScore(4), evidence(of_logits(logits), of_logits(logits)), "is") < 1e-9


def test_unbalanced_classes_give_the_exponential_of_their_entropy() -> None:
    logits = torch.eye(2)[torch.tensor([0, 0, 0, 1]).repeat(10)] * 100.0
    expected = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert score(logits) == pytest.approx(expected, rel=1e-9)


def test_without_the_shuffle_parts_are_cut_as_the_samples_come() -> None:
    logits = torch.eye(2).repeat_interleave(50, 0) * 100.0
    assert score(logits, 2, shuffle=False) == pytest.approx(1.0, rel=1e-9)
    assert score(logits, 2, shuffle=True) > 1.9


@pytest.mark.parametrize("shuffle", [False, True])
def test_torch_fidelity_finds_the_same(shuffle: bool) -> None:
    logits = normal(203, 7, 0) * 2.0
    expected = isc_features_to_metric(logits, splits=10, shuffle=shuffle)["inception_score_mean"]
    assert score(logits, 10, shuffle) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("splits", [1, 4])
def test_the_interval_holds_the_expected_score_at_its_nominal_rate(splits: int) -> None:
    def draw(seed: int):  # type: ignore[no-untyped-def]
        samples = of_logits(normal(240, 5, seed) * 2.0)
        return evidence(samples, samples)

    assert held(InceptionScore(splits), draw, 200)["is"] == pytest.approx(0.95, abs=0.055)


def test_it_needs_an_image_per_split_and_classes() -> None:
    with pytest.raises(DataError, match=r"protocol\.is_splits=3"):
        score(torch.zeros(3, 2), 4)
    with pytest.raises(ConfigError, match="is_splits is 0"):
        InceptionScore(0)
    nothing = of_logits(torch.zeros(5, 0))
    assert InceptionScore(1)(evidence(nothing, nothing))["is"].value is None


def test_accuracy_counts_the_classes_asked_for() -> None:
    logits = torch.eye(4)[torch.tensor([0, 1, 2, 3, 0])]
    samples = of_logits(logits, torch.tensor([0, 1, 2, 0, 1]))
    found = Accuracy()(evidence(samples, samples))["accuracy"]
    assert found.value == 0.6
    assert found.error == pytest.approx(math.sqrt(0.6 * 0.4 / 5))


def test_accuracy_means_nothing_without_labels_or_without_a_classifier_of_them() -> None:
    logits, label = torch.eye(3), torch.arange(3)
    for samples in (of_logits(logits), of_logits(logits, label, classifies=False)):
        assert Accuracy()(evidence(samples, samples))["accuracy"].value is None
