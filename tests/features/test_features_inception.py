import hashlib
import os
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torch_fidelity
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity import feature_extractor_inceptionv3 as fidelity

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.data.images import ResidentTable
from genbench.evaluation import Judge, Protocol, Reference
from genbench.evaluation.sources import TableSource
from genbench.features import Inception
from genbench.features.fidelity import register
from genbench.features.resize import CONVENTIONS
from genbench.metrics import FrechetDistance, InceptionScore


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A state dict of Inception with random weights, and its sha256."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        net = fidelity.FeatureExtractorInceptionV3("random", ["2048"])
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    net.fc.weight *= 30.0  # predictions that differ enough for an inception score above one
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(net.state_dict(), path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


class Bytes(Dataset[Tensor]):
    def __init__(self, image: Tensor) -> None:
        self.image = image

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: int) -> Tensor:
        return self.image[index]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*cannot fill a covariance of 2048")
def test_fid_and_is_equal_torch_fidelitys_own(weights: tuple[Path, str]) -> None:
    path, sha256 = weights
    generator = torch.Generator().manual_seed(1)
    samples = torch.randint(0, 256, (4, 3, 16, 16), generator=generator, dtype=torch.uint8)
    samples[:, :, 4:12] //= torch.arange(1, 5, dtype=torch.uint8)[:, None, None, None]
    real = samples // 4 + torch.arange(16, dtype=torch.uint8) * 8
    theirs = torch_fidelity.calculate_metrics(
        input1=Bytes(samples), input2=Bytes(real), fid=True, isc=True, isc_splits=2, cuda=False, cache=False,
        feature_extractor_weights_path=path, save_cpu_ram=True, batch_size=4, verbose=False,
    )  # fmt: skip
    extractor = Inception(path, sha256=sha256)
    reference = Reference.read(TableSource(ResidentTable(real), "real"), extractor)
    metrics = {"fd": FrechetDistance(), "is": InceptionScore(2)}
    protocol = Protocol("t", samples=4, is_splits=2)
    judge = Judge(ImageSpec(3, 16, 16), protocol, extractor, metrics, reference, batch=3)
    ours = judge.evaluate(TableSource(ResidentTable(samples), "samples"))
    assert ours["fd"] > 0.01
    assert ours["fd"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    assert ours["is"] > 1.004
    assert ours["is"] == pytest.approx(theirs["inception_score_mean"], rel=1e-5)
    # so near to one the score's excess is the sharper comparison
    assert ours["is"] - 1.0 == pytest.approx(theirs["inception_score_mean"] - 1.0, rel=1e-3)


def test_grey_is_repeated_to_rgb_and_other_weights_are_not_called_fid(weights: tuple[Path, str]) -> None:
    path, sha256 = weights
    extractor = Inception(path, sha256=sha256[:8])
    grey = torch.randint(0, 256, (1, 1, 9, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    out = extractor(grey)
    assert out["features"].shape == (1, 2048)
    assert out["logits"].shape == (1, 1008)
    torch.testing.assert_close(out["features"], extractor(grey.repeat(1, 3, 1, 1))["features"], rtol=0, atol=0)
    assert extractor.fingerprint == sha256
    assert not extractor.classifies
    assert extractor.name == f"inception-{sha256[:8]}"


def test_the_convention_and_the_precision_are_part_of_the_identity(weights: tuple[Path, str]) -> None:
    path, sha256 = weights
    plain = Inception(path, sha256=sha256)
    others = [Inception(path, sha256=sha256, resize=resize) for resize in CONVENTIONS if resize != "tf1"]
    others.append(Inception(path, sha256=sha256, precision="bfloat16"))
    identities = [str(sorted(extractor.identity().items())) for extractor in [plain, *others]]
    assert len(set(identities)) == 5
    assert len({register(extractor) for extractor in [plain, *others]}) == 5  # torch-fidelity caches by this name


def test_layout_reorders_sums_only_and_bfloat16_moves_features_a_little(weights: tuple[Path, str]) -> None:
    path, sha256 = weights
    image = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    plain, fast = Inception(path, sha256=sha256), Inception(path, sha256=sha256, channels_last=True)
    expected = plain(image)["features"]
    assert fast.identity() == plain.identity()
    torch.testing.assert_close(fast(image)["features"], expected, rtol=1e-4, atol=1e-5 * float(expected.max()))
    coarse = Inception(path, sha256=sha256, precision="bfloat16")(image)
    assert coarse["features"].dtype == coarse["logits"].dtype == torch.float32
    off = float((coarse["features"] - expected).norm() / expected.norm())
    assert 1e-4 < off < 0.05


def test_only_published_weights_in_float32_are_called_fid(
    weights: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sha256 = weights
    monkeypatch.setattr("genbench.features.inception.PUBLISHED_SHA256", sha256[:8])
    assert Inception(path, sha256=sha256).name == "inception"
    assert Inception(path, sha256=sha256, precision="bfloat16").name == "inception-bfloat16"


def test_anything_but_bytes_is_refused(weights: tuple[Path, str]) -> None:
    extractor = Inception(weights[0], sha256=weights[1])
    for wrong, said in (
        (torch.rand(1, 3, 8, 8), r"float32 \[1, 3, 8, 8\]"),
        (torch.zeros(3, 8, 8).byte(), r"uint8 \[3, 8, 8\]"),
        (torch.zeros(1, 4, 8, 8).byte(), r"uint8 \[1, 4, 8, 8\]"),
    ):
        with pytest.raises(DataError, match=f"judges uint8 images .*{said}: turn them into bytes"):
            extractor(wrong)


class Malice:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


def test_a_tampered_file_is_refused_before_it_can_run_code(tmp_path: Path) -> None:
    target, path = tmp_path / "created", tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    torch.save({"Conv2d_1a_3x3": Malice(target)}, path)
    with pytest.raises(ConfigError, match=r"has sha256 [0-9a-f]{64}, expected 6726825d"):
        Inception(path)
    assert not target.exists()
    with pytest.raises(ConfigError, match="is not a state dict of Inception-v3"):
        Inception(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())  # trusted by mistake
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.exists(), "the file must be malicious for this test to mean anything"


def test_a_flipped_bit_and_too_short_a_sum_are_refused(weights: tuple[Path, str], tmp_path: Path) -> None:
    path, sha256 = weights
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flipped.pth").write_bytes(content)
    with pytest.raises(ConfigError, match=r"flipped\.pth has sha256"):
        Inception(tmp_path / "flipped.pth", sha256=sha256)
    with pytest.raises(ConfigError, match="expected"):
        Inception(path, sha256=sha256[:4])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(ConfigError, match="is not a state dict of Inception-v3"):
        Inception(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_absent_weights_name_the_url_and_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="cannot be read") as absent:
        Inception(tmp_path / "absent.pth")
    with pytest.raises(ConfigError, match=r"features\.download=true") as offline:
        Inception()
    for error in (absent, offline):
        assert fidelity.URL_INCEPTION_V3 in str(error.value)
        assert "features.weights" in str(error.value)
        assert "\n" not in str(error.value)


def test_a_download_is_tried_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def refuse(url: str, path: str, hash_prefix: str) -> None:
        asked.append((url, hash_prefix))
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(ConfigError):
        Inception()
    assert asked == []
    with pytest.raises(ConfigError, match=r"no route to host.*features\.weights=FILE"):
        Inception(download=True)
    assert asked == [(fidelity.URL_INCEPTION_V3, "6726825d")]
