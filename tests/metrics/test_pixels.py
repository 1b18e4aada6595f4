"""The metrics that look at the images themselves."""

import hashlib
from pathlib import Path

import pytest
import torch
from clouds import NO_MOMENTS
from torch import Tensor
from torchvision.models import alexnet

from genbench.core import ConfigError, DataError
from genbench.metrics import ClassificationAccuracyScore, Evidence, FeatureTable, LpipsDiversity
from genbench.metrics.lpips_diversity import _pairs


def pictures(image: Tensor, label: Tensor | None) -> FeatureTable:
    return FeatureTable(torch.zeros(len(image), 1), torch.zeros(len(image), 0), label, False, image)


def halves(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy 8x8 images bright in their upper or lower half, and which."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % 2
    image = torch.randint(0, 120, (n, 1, 8, 8), generator=generator)
    image[label == 0, :, :4] += 100
    image[label == 1, :, 4:] += 100
    return image.to(torch.uint8), label


def cas(samples: FeatureTable, test: FeatureTable) -> float | None:
    return ClassificationAccuracyScore()(Evidence(samples, test, NO_MOMENTS, None, test))["cas"].value


def test_a_classifier_of_good_samples_knows_the_test_images() -> None:
    image, label = halves(40, 0)
    test = pictures(*halves(60, 1))
    assert cas(pictures(image, label), test) == 1.0
    assert cas(pictures(image, 1 - label), test) == 0.0


def test_the_accuracy_score_needs_labels_images_and_one_shape() -> None:
    image, label = halves(20, 0)
    test = pictures(*halves(20, 1))
    assert cas(pictures(image, None), test) is None
    assert cas(pictures(image, label), pictures(image, None)) is None
    assert ClassificationAccuracyScore()(Evidence(test, test, NO_MOMENTS))["cas"].value is None
    bare = FeatureTable(torch.zeros(20, 1), torch.zeros(20, 0), label, False)
    assert cas(bare, test) is None
    assert ClassificationAccuracyScore.needs_images
    assert ClassificationAccuracyScore.needs_splits
    with pytest.raises(DataError, match=r"\(1, 8, 6\).*\(1, 8, 8\)"):
        cas(pictures(image[..., :6], label), test)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """AlexNet's convolutions with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("lpips") / "alexnet.pth"
    state = alexnet(weights=None).state_dict()
    torch.save({name: tensor for name, tensor in state.items() if name.startswith("features.")}, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def lpips(metric: LpipsDiversity, image: Tensor, label: Tensor | None = None) -> tuple[float, float]:
    score = metric(Evidence(pictures(image, label), None, NO_MOMENTS))["lpips_diversity"]
    assert score.value is not None
    assert score.error is not None
    return score.value, score.error


def noise(n: int, seed: int, side: int = 8, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, side, side), generator=generator).to(torch.uint8)


def test_diversity_is_within_classes(backbone: tuple[Path, str]) -> None:
    metric = LpipsDiversity(*backbone)
    label = torch.arange(24) % 2
    two = noise(2, 0)[label]
    assert lpips(metric, two, label) == (0.0, 0.0)
    assert lpips(metric, two)[0] > 0.0
    assert lpips(metric, noise(24, 1), label)[0] > lpips(metric, two)[0]


def test_diversity_is_the_mean_over_disjoint_pairs(backbone: tuple[Path, str]) -> None:
    metric = LpipsDiversity(*backbone)
    image = noise(9, 2, side=40, channels=3)
    firsts, seconds = (torch.cat(blocks) for blocks in _pairs(torch.zeros(9, dtype=torch.int64)))
    assert len(set(firsts.tolist()) | set(seconds.tolist())) == 8
    distances = torch.stack(
        [
            metric.network(image[[one]] / 127.5 - 1.0, image[[two]] / 127.5 - 1.0).flatten()
            for one, two in zip(firsts.tolist(), seconds.tolist(), strict=True)
        ]
    )
    found, error = lpips(metric, image)
    assert found == pytest.approx(float(distances.mean()), rel=1e-5)
    assert error == pytest.approx(float(distances.std(correction=0)) / 2.0, rel=1e-4)


def test_pairs_never_cross_classes() -> None:
    label = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 1, 0])
    firsts, seconds = (torch.cat(blocks) for blocks in _pairs(label))
    assert torch.equal(label[firsts], label[seconds])
    assert len(firsts) == 5
    with pytest.raises(DataError, match="at least 2 pairs"):
        _pairs(torch.arange(4))


def test_the_backbone_is_the_files_and_no_other(backbone: tuple[Path, str], tmp_path: Path) -> None:
    path, sha256 = backbone
    stored = torch.load(path, weights_only=True)
    network = LpipsDiversity(path, sha256).network
    assert torch.equal(dict(network.net.named_parameters())["slice2.3.weight"], stored["features.3.weight"])
    with pytest.raises(ConfigError, match="needs AlexNet's weights"):
        LpipsDiversity()
    with pytest.raises(ConfigError, match=f"sha256 {sha256}, expected 7be5be79"):
        LpipsDiversity(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        LpipsDiversity(tmp_path / "none.pth", sha256)
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    with pytest.raises(ConfigError, match="does not hold torchvision's AlexNet"):
        LpipsDiversity(other, hashlib.sha256(other.read_bytes()).hexdigest())


def test_diversity_without_pixels_is_none(backbone: tuple[Path, str]) -> None:
    bare = FeatureTable(torch.zeros(4, 1), torch.zeros(4, 0), None, False)
    assert LpipsDiversity.needs_images
    assert LpipsDiversity(*backbone)(Evidence(bare, None, NO_MOMENTS))["lpips_diversity"].value is None
