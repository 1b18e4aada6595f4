"""What holds for every metric."""

from pathlib import Path

import pytest
import torch
from clouds import evidence, normal, table
from omegaconf import OmegaConf

from genbench import metrics
from genbench.core import DataError
from genbench.metrics import Evidence, FeatureTable, Metric, Moments

CONF = Path(__file__).parents[2] / "conf" / "metric"

OVER_FEATURES: dict[str, Metric] = {
    "fd": metrics.FrechetDistance(),
    "kid": metrics.KernelDistance(1, 70),
    "precision_recall": metrics.PrecisionRecall(3),
    "density_coverage": metrics.DensityCoverage(3),
    "cmmd": metrics.Cmmd(),
    "memorisation": metrics.Memorisation(),
    "fld": metrics.FeatureLikelihood(),
}


@pytest.mark.parametrize("name", sorted(OVER_FEATURES))
def test_the_order_of_images_changes_nothing(name: str) -> None:
    samples, train, test = normal(70, 4, 0) * 0.8, normal(90, 4, 1), normal(70, 4, 2)
    plain = OVER_FEATURES[name](evidence(samples, test, train, test))
    turned = OVER_FEATURES[name](evidence(samples.flip(0), test.flip(0), train, test.flip(0)))
    for key, score in plain.items():
        assert score.value == pytest.approx(turned[key].value, rel=1e-4)
        if score.error is not None:
            assert score.error == pytest.approx(turned[key].error, rel=1e-3)


@pytest.mark.parametrize("name", sorted(OVER_FEATURES))
def test_published_moments_alone_are_enough_for_frechet_distances_only(name: str) -> None:
    samples = table(normal(70, 4, 0))
    scores = OVER_FEATURES[name](Evidence(samples, None, Moments.of(normal(90, 4, 1))))
    assert all((score.value is None) == (name != "fd") for score in scores.values())


@pytest.mark.parametrize("name", sorted(OVER_FEATURES))
def test_a_metric_says_whether_it_needs_the_splits(name: str) -> None:
    metric = OVER_FEATURES[name]
    bare = metric(evidence(normal(70, 4, 0), normal(90, 4, 1)))
    assert all((score.value is None) == metric.needs_splits for score in bare.values())
    assert not metric.needs_images


def test_a_metric_says_which_scores_it_gives() -> None:
    found = evidence(normal(70, 4, 0), normal(90, 4, 1))
    named = {getattr(metrics, name) for name in metrics.__all__}
    for kind in {x for x in named if isinstance(x, type) and issubclass(x, Metric)} - {Metric}:
        # without captions, labels and pictures most have no scores, but say which; only their weights are not at hand
        metric = OVER_FEATURES["kid"] if kind is metrics.KernelDistance else kind.__new__(kind)
        vars(metric).setdefault("neighbours", 3)
        vars(metric).setdefault("splits", 1)
        assert tuple(metric(found)) == kind.keys


def test_features_that_are_not_finite_are_refused_by_name() -> None:
    for bad in (float("nan"), float("inf")):
        features, logits = normal(9, 3, 0), normal(9, 2, 1)
        features[4, 1] = bad
        with pytest.raises(DataError, match="the features hold NaN or infinite"):
            table(features)
        with pytest.raises(DataError, match="the features hold NaN or infinite"):
            Moments.of(features)
        logits[4, 1] = bad
        with pytest.raises(DataError, match="the logits hold NaN or infinite"):
            FeatureTable(normal(9, 3, 0), logits, None, False)


def test_taken_rows_have_their_own_moments_and_radii() -> None:
    whole = table(normal(30, 3, 0), label=torch.arange(30))
    assert whole.radii(2) is whole.radii(2)
    part = whole.take([3, 3, 7, 20])
    assert part.label is not None
    assert part.label.tolist() == [3, 3, 7, 20]
    assert part.radii(1)[:2].tolist() == [0.0, 0.0]
    assert part.moments.count == 4


def test_every_metric_has_one_description_that_builds_it() -> None:
    named = {getattr(metrics, name) for name in metrics.__all__}
    classes = {x for x in named if isinstance(x, type) and issubclass(x, Metric)} - {Metric}
    described = set()
    for path in CONF.glob("*.yaml"):
        first = path.read_text().splitlines()[0]
        assert first.startswith("# ")
        assert len(first) <= 120
        (key, node), *rest = OmegaConf.load(path).items()
        assert (key, rest) == (path.stem, [])
        described.add(getattr(metrics, node["_target_"].rsplit(".", 1)[1]))
    assert described == classes
