"""Scores of two folders of PNGs, by every library's own top function and by ours."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch_fidelity
from random_inception import SIDE, Weights
from torch import Tensor, nn

from genbench.core import ImageSpec
from genbench.data.samples import read_samples
from genbench.features import Inception
from genbench.features.resize import Convention, to_inception
from genbench.metrics import Evidence, FeatureTable, FrechetDistance, InceptionScore, KernelDistance

CPU = torch.device("cpu")
Folders = tuple[Path, Path]
OurFeatures = Callable[[Convention], list[Tensor]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*`disp` argument is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Metric `.*` will save all extracted features:UserWarning"),
]


class Early(nn.Module):
    """The 64 features behind the first pooling, by `resize`; all libraries offer them, and they fit in 68 images."""

    def __init__(self, weights: Weights, resize: Convention) -> None:
        super().__init__()
        self.resize: Convention = resize
        self.start = Inception(weights.path, sha256=weights.sha256, resize=resize).body[:4]

    def of_pixels(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.start(x).mean((2, 3))

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([self.of_pixels(to_inception(part, self.resize)) for part in image.split(20)])


@pytest.fixture(scope="module")
def early(weights: Weights, folders: Folders) -> OurFeatures:
    """`early(resize)`: our features of both folders, made once."""

    @functools.cache
    def features(resize: Convention) -> list[Tensor]:
        network = Early(weights, resize)
        return [network(read(folder)) for folder in folders]

    return features


def read(folder: Path) -> Tensor:
    table = read_samples(folder, ImageSpec(3, SIDE, SIDE))
    return table.take(range(len(table))).image


def evidence(features: list[Tensor], logits: Tensor | None = None) -> Evidence:
    sample, reference = (FeatureTable(f, torch.zeros(len(f), 0), None, False) for f in features)
    if logits is not None:
        sample = FeatureTable(sample.features, logits, None, False)
    return Evidence(sample, reference, reference.moments)


def fd(features: list[Tensor]) -> float:
    value = FrechetDistance()(evidence(features))["fd"].value
    assert value is not None
    assert value > 0.01
    return value


def kid(features: list[Tensor]) -> float | None:
    # subsets of all images, so that nothing depends on how they are drawn
    return KernelDistance(2, len(features[0]))(evidence(features))["kid"].value


def test_torch_fidelity(weights: Weights, folders: Folders, early: OurFeatures) -> None:
    settings: dict[str, Any] = {
        "input1": str(folders[0]), "input2": str(folders[1]), "fid": True, "kid": True, "cuda": False, "cache": False,
        "feature_layer_fid": "64", "feature_layer_kid": "64", "kid_subsets": 2, "kid_subset_size": 68,
        "feature_extractor_weights_path": weights.path, "save_cpu_ram": True, "batch_size": 20, "verbose": False,
    }  # fmt: skip
    theirs = torch_fidelity.calculate_metrics(**settings)
    assert fd(early("tf1")) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    assert kid(early("tf1")) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)


def test_torchmetrics(weights: Weights, folders: Folders, early: OurFeatures) -> None:
    image = pytest.importorskip("torchmetrics.image")
    from torchmetrics.image.fid import NoTrainInceptionV3
    from torchmetrics.image.kid import poly_mmd

    samples, real = map(read, folders)
    theirs = NoTrainInceptionV3("early", ["64"], str(weights.path), antialias=True)
    frechet = image.FrechetInceptionDistance(feature=64, feature_extractor_weights_path=str(weights.path))
    frechet.update(samples, real=False)
    frechet.update(real, real=True)
    assert fd(early("antialias")) == pytest.approx(float(frechet.compute()), rel=1e-5)
    few = 20
    kernel = image.KernelInceptionDistance(feature=theirs, subsets=2, subset_size=few)
    kernel.update(samples[:few], real=False)
    kernel.update(real[:few], real=True)
    ours = kid([features[:few] for features in early("antialias")])
    # kernels near 1 are summed in float32, whose rounding depends on the number of threads
    assert ours == pytest.approx(float(kernel.compute()[0]), rel=1e-4, abs=1e-6)
    fake, true = (torch.cat(getattr(kernel, name)).double() for name in ("fake_features", "real_features"))
    assert kid([fake, true]) == pytest.approx(float(poly_mmd(true, fake)), rel=1e-9)


def test_torchmetrics_inception_score(weights: Weights, folders: Folders) -> None:
    image = pytest.importorskip("torchmetrics.image")
    from torchmetrics.image.fid import NoTrainInceptionV3

    samples = read(folders[0])[:16]
    theirs = image.InceptionScore(
        NoTrainInceptionV3("logits", ["logits_unbiased"], str(weights.path), antialias=True), splits=1
    )
    theirs.update(samples)
    extractor = Inception(weights.path, sha256=weights.sha256, resize="antialias")
    found = extractor(samples)
    ours = InceptionScore(1)(evidence([found["features"]] * 2, found["logits"]))["is"].value
    assert ours is not None
    assert ours > 1.004
    assert ours == pytest.approx(float(theirs.compute()[0]), rel=1e-5)


def test_pytorch_fid(weights: Weights, folders: Folders, early: OurFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    score = pytest.importorskip("pytorch_fid.fid_score")
    monkeypatch.setattr("pytorch_fid.inception.load_state_dict_from_url", lambda *args, **kwargs: weights.state)
    theirs = score.calculate_fid_given_paths([str(f) for f in folders], 20, CPU, 64, num_workers=0)
    assert fd(early("pytorch")) == pytest.approx(theirs, rel=1e-5)


def test_clean_fid(weights: Weights, folders: Folders, early: OurFeatures) -> None:
    clean = pytest.importorskip("cleanfid.fid")
    network = Early(weights, "clean")
    theirs = clean.compute_fid(
        str(folders[0]), str(folders[1]), mode="clean", num_workers=0, batch_size=20, device=CPU, verbose=False,
        custom_feat_extractor=lambda x: network.of_pixels((x - 128.0) / 128.0),
    )  # fmt: skip
    assert fd(early("clean")) == pytest.approx(theirs, rel=1e-5)


def test_conventions_disagree_on_the_same_folders(early: OurFeatures) -> None:
    found = [fd(early(resize)) for resize in ("tf1", "clean", "antialias")]
    assert min(abs(a - b) / a for a in found for b in found if a != b) > 1e-3
