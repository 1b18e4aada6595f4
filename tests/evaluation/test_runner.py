import json
import statistics
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
import torch_fidelity
from torch import Tensor
from torch.utils.data import Dataset

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.data.digits import Digits
from genbench.data.images import ResidentTable
from genbench.evaluation import Judge, Protocol, Reference
from genbench.evaluation.runner import _summary
from genbench.evaluation.sources import ImageSource, NoiseSource, SamplingCost, TableSource
from genbench.features import DomainClassifier
from genbench.features.fidelity import register
from genbench.metrics import (
    Accuracy,
    FrechetDistance,
    FrechetDistanceInfinity,
    InceptionScore,
    KernelDistance,
    PrecisionRecall,
    Score,
)
from genbench.metrics.moments import Moments

SPEC = ImageSpec(1, 8, 8, num_classes=10, levels=17)
METRICS = {"fd": FrechetDistance(), "is": InceptionScore(5), "accuracy": Accuracy()}
KEYS = {"fd", "fd_std", "is", "is_std", "accuracy", "features", "protocol", "protocol_fields", "samples", "repeats",
        "sample_seconds_per_1k", "nfe", "flags", "fd_error", "fd_interval"}  # fmt: skip


@pytest.fixture(scope="module")
def judge() -> Judge:
    extractor = DomainClassifier()
    reference = Reference.read(TableSource(Digits().table("test"), "digits test"), extractor)
    return Judge(SPEC, Protocol("t", samples=360, repeats=3, is_splits=5), extractor, METRICS, reference)


@pytest.fixture(scope="module")
def noised() -> ResidentTable:
    train = Digits().table("train").take(range(360))
    noise = torch.randn(train.image.shape, generator=torch.Generator().manual_seed(0)) * 30.0
    return ResidentTable((train.image + noise).clamp(0, 255).to(torch.uint8), train.label)


class Bytes(Dataset[Tensor]):
    def __init__(self, image: Tensor) -> None:
        self.image = image

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: int) -> Tensor:
        return self.image[index]


def test_fd_and_is_equal_torch_fidelitys_own(judge: Judge, noised: ResidentTable) -> None:
    theirs = torch_fidelity.calculate_metrics(
        input1=Bytes(noised.image), input2=Bytes(Digits().table("test").take(range(360)).image), fid=True, isc=True,
        isc_splits=5, feature_extractor=register(judge.extractor), cuda=False, cache=False, save_cpu_ram=True,
        batch_size=64, verbose=False,
    )  # fmt: skip
    ours = judge.evaluate(TableSource(noised, "noised"))
    assert ours["fd"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    assert ours["is"] == pytest.approx(theirs["inception_score_mean"], rel=1e-5)
    assert ours["fd"] > 1.0


def test_scores_do_not_depend_on_the_batch(judge: Judge, noised: ResidentTable) -> None:
    whole = judge.evaluate(TableSource(noised, "noised"))
    reference = Reference.read(TableSource(Digits().table("test"), "digits test"), judge.extractor, batch=11)
    pieces = replace(judge, batch=7, reference=reference).evaluate(TableSource(noised, "noised"))
    assert reference.sha256 == judge.reference.sha256
    for key in ("fd", "is", "accuracy"):
        assert pieces[key] == pytest.approx(whole[key], rel=1e-5)


def test_a_result_is_json_with_its_keys_and_protocol(judge: Judge) -> None:
    result = judge.evaluate(NoiseSource(SPEC))
    assert set(result) >= KEYS
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["features"], result["samples"], result["protocol"]) == ("digits", 360, judge.hash)
    assert result["protocol_fields"]["extractor"]["fingerprint"] == judge.extractor.fingerprint
    assert result["protocol_fields"]["reference"] == {"split": "test", "sha256": judge.reference.sha256}
    assert result["flags"] == []


def test_means_and_sample_deviations_over_the_sampling_seeds(judge: Judge) -> None:
    result = judge.evaluate(NoiseSource(SPEC))
    repeats = result["repeats"]
    assert [row["seed"] for row in repeats] == [0, 1, 2]
    for key in ("fd", "is", "accuracy"):
        values = [row[key] for row in repeats]
        assert len(set(values)) > 1
        assert result[key] == pytest.approx(statistics.mean(values))
        assert result[f"{key}_std"] == pytest.approx(statistics.stdev(values))


def test_the_error_of_a_mean_over_seeds_and_its_interval(judge: Judge) -> None:
    result = judge.evaluate(NoiseSource(SPEC))
    errors = [row["accuracy_error"] for row in result["repeats"]]
    assert all(error > 0.0 for error in errors)
    assert result["accuracy_error"] == pytest.approx(sum(e**2 for e in errors) ** 0.5 / 3)
    low, high = result["accuracy_interval"]
    assert (low + high) / 2 == pytest.approx(result["accuracy"])
    assert high - low == pytest.approx(2 * 1.959964 * result["accuracy_error"])


def test_an_interval_ends_where_the_scores_range_does(judge: Judge, noised: ResidentTable) -> None:
    result = judge.evaluate(TableSource(noised, "noised"))
    rate, half = result["accuracy"], 1.959964 * result["accuracy_error"]
    assert 0.0 < rate - half < rate < 1.0 < rate + half
    assert result["accuracy_interval"] == pytest.approx([rate - half, 1.0])
    assert _summary("kid", [Score(0.1, 0.2)], True)["kid_interval"] == pytest.approx([0.1 - 0.3919928, 0.4919928])
    assert _summary("fd", [Score(0.1, 0.2)], True)["fd_interval"] == pytest.approx([0.0, 0.4919928])
    assert _summary("is", [Score(1.1, 0.2)], True)["is_interval"] == pytest.approx([1.0, 1.4919928])


def test_subsets_of_one_stored_set_overlap_and_gain_nothing(judge: Judge) -> None:
    result = judge.evaluate(TableSource(Digits().table("train"), "digits train"))
    errors = [row["fd_error"] for row in result["repeats"]]
    assert len(errors) == 3
    assert result["fd_error"] == pytest.approx((sum(e**2 for e in errors) / 3) ** 0.5)


def test_one_seed_has_no_deviation_and_a_fixed_set_is_judged_once(judge: Judge, noised: ResidentTable) -> None:
    once = replace(judge, protocol=replace(judge.protocol, repeats=1)).evaluate(NoiseSource(SPEC))
    fixed = judge.evaluate(TableSource(noised, "noised"))
    for result in (once, fixed):
        assert result["fd_std"] is None
        assert result["is_std"] is None
        assert len(result["repeats"]) == 1
    assert fixed["sample_seconds_per_1k"] is None
    assert fixed["nfe"] is None


def test_accuracy_is_none_for_samples_without_labels(judge: Judge, noised: ResidentTable) -> None:
    result = judge.evaluate(TableSource(ResidentTable(noised.image), "unlabelled"))
    assert result["accuracy"] is None
    assert result["accuracy_std"] is None
    assert result["fd"] is not None


class Priced(ImageSource):
    """Two evaluations and a tenth of a second an image."""

    def __init__(self) -> None:
        super().__init__("priced", None, SamplingCost())

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        assert self.cost is not None
        self.cost.images += len(indices)
        self.cost.evaluations += 2 * len(indices)
        self.cost.seconds += 0.1 * len(indices)
        return NoiseSource(SPEC).draw(seed, indices)


def test_the_cost_of_sampling_stands_beside_the_scores(judge: Judge) -> None:
    result = judge.evaluate(Priced())
    assert result["nfe"] == 2.0
    assert result["sample_seconds_per_1k"] == pytest.approx(100.0)


def test_damage_is_ranked_by_its_size(judge: Judge) -> None:
    train = Digits().table("train").take(range(360))
    generator = torch.Generator().manual_seed(0)
    scores = []
    for deviation in (0.0, 20.0, 40.0, 80.0):
        noise = torch.randn(train.image.shape, generator=generator) * deviation
        damaged = (train.image + noise).clamp(0, 255).to(torch.uint8)
        scores.append(judge.evaluate(TableSource(ResidentTable(damaged, train.label), "damaged"))["fd"])
    assert scores == sorted(scores)
    one_class = train.image[train.label == 3].repeat(20, 1, 1, 1)[:360]
    collapsed = judge.evaluate(TableSource(ResidentTable(one_class), "one class"))
    assert collapsed["is"] < 1.1
    assert collapsed["fd"] > 10 * scores[0]


def test_too_few_samples_name_the_option(judge: Judge, noised: ResidentTable) -> None:
    with pytest.raises(DataError, match=r"few has 100 images.*360.*protocol\.samples=100"):
        judge.evaluate(TableSource(ResidentTable(noised.image[:100]), "few"))


def test_data_the_extractor_does_not_know_are_refused_before_any_work(judge: Judge) -> None:
    with pytest.raises(ConfigError, match="features=inception"):
        replace(judge, spec=ImageSpec(3, 32, 32, num_classes=10))


def test_a_reference_needs_an_end_and_two_images(judge: Judge) -> None:
    for source in (NoiseSource(SPEC), TableSource(ResidentTable(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)), "one")):
        with pytest.raises(DataError, match="cannot be a reference"):
            Reference.read(source, judge.extractor)


def test_one_changed_pixel_is_another_reference(judge: Judge, noised: ResidentTable) -> None:
    image = noised.image.clone()
    image[200, 0, 3, 3] ^= 1
    changed, same = (Reference.read(TableSource(ResidentTable(i), "r"), judge.extractor) for i in (image, noised.image))
    again = Reference.read(TableSource(ResidentTable(noised.image), "r"), judge.extractor, batch=50)
    assert changed.sha256 != same.sha256 == again.sha256


@pytest.fixture
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_fewer_images_than_features_are_flagged(judge: Judge, noised: ResidentTable) -> None:
    few = replace(judge, protocol=replace(judge.protocol, samples=64))
    with pytest.warns(UserWarning, match="64 images cannot fill a covariance of 64 features"):
        result = few.evaluate(TableSource(ResidentTable(noised.image[:64]), "few"))
    (flag,) = result["flags"]
    assert flag.startswith("few: 64 images cannot fill a covariance of 64 features")
    reference = Reference.read(TableSource(ResidentTable(noised.image[:50]), "small"), judge.extractor)
    with pytest.warns(UserWarning, match="reference small: 50 images"):
        replace(judge, reference=reference)


@pytest.mark.usefixtures("no_warnings")
def test_enough_images_are_not_flagged(judge: Judge) -> None:
    replace(judge, protocol=replace(judge.protocol, samples=65)).evaluate(NoiseSource(SPEC))


def test_a_constant_that_the_hash_does_not_say_is_refused(judge: Judge) -> None:
    with pytest.raises(ConfigError, match=r"kid5 computes with kid_subsets=5.*says 100.*protocol\.kid_subsets=5"):
        replace(judge, metrics={"kid5": KernelDistance(5, 1000)})
    with pytest.raises(ConfigError, match=r"is_shuffle=False"):
        replace(judge, metrics={"is": InceptionScore(5, shuffle=False)})


def test_two_metrics_of_one_score_are_refused(judge: Judge, noised: ResidentTable) -> None:
    twice = replace(judge, metrics={"one": FrechetDistance(), "two": FrechetDistance()})
    with pytest.raises(ConfigError, match=r"metric\.two and another both score fd"):
        twice.evaluate(TableSource(noised, "noised"))


def test_too_few_images_are_told_for_all_metrics_at_once_before_anything_is_drawn(judge: Judge) -> None:
    metrics = {"fd": FrechetDistance(), "kid": KernelDistance(), "fd_infinity": FrechetDistanceInfinity()}
    asked = r"100 samples .*kernel distance: at least 1000 .*kid_subset_size=100.*limit: at least 128 "
    with pytest.raises(ConfigError, match=asked + r".*protocol\.samples=1000 or more, or .*metric=\[fd\]$"):
        replace(judge, protocol=replace(judge.protocol, samples=100), metrics=metrics)


def test_a_reference_with_too_few_images_is_told_too(judge: Judge) -> None:
    few = r"360 reference images .*at least 361 .*protocol\.neighbours=359 or less\): leave pr out, metric=\[fd\]$"
    protocol = replace(judge.protocol, samples=1000, neighbours=360)
    with pytest.raises(ConfigError, match=few):
        replace(judge, protocol=protocol, metrics={"fd": FrechetDistance(), "pr": PrecisionRecall(360)})


def test_metrics_that_imported_statistics_leave_out_have_no_least_number(judge: Judge) -> None:
    width = len(judge.reference.moments.mean)
    theirs = Reference("theirs.npz", "0" * 64, Moments(torch.zeros(width), torch.eye(width), 9999), None)
    few = replace(judge.protocol, samples=100)
    left_out = replace(judge, protocol=few, metrics={"kid": KernelDistance()}, reference=theirs)
    assert left_out.metrics["kid"].shortage({"samples": 100}, width) is None
    assert "at least 1000" in str(left_out.metrics["kid"].shortage({"samples": 100, "reference images": 360}, width))


def test_imported_statistics_of_another_width_are_refused_before_anything_is_drawn(judge: Judge) -> None:
    narrow = Reference("theirs.npz", "0" * 64, Moments(torch.zeros(5).double(), torch.eye(5).double(), 9), None)
    with pytest.raises(ConfigError, match=r"theirs\.npz holds statistics of 5 features, but features=digits has 64"):
        replace(judge, reference=narrow)
