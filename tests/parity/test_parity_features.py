"""Our Inception gives the features of every library whose convention it takes."""

import numpy as np
import pytest
import torch
from random_inception import Weights, make_images
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from genbench.features import Inception
from genbench.features.resize import CONVENTIONS, Convention, to_inception

IMAGE = make_images(2, seed=0)
# larger than 299 pixels a side, where antialiasing has something to do
LARGE = torch.nn.functional.interpolate(make_images(1, seed=9).float(), (331, 310)).to(torch.uint8)

pytestmark = pytest.mark.slow


def ours(weights: Weights, convention: Convention, image: Tensor) -> dict[str, Tensor]:
    extractor = Inception(weights.path, sha256=weights.sha256, resize=convention)
    return {name: value.double() for name, value in extractor(image).items()}


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.double(), rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("image", [IMAGE, LARGE], ids=["enlarged", "shrunk"])
def test_tf1_is_torch_fidelity(weights: Weights, image: Tensor) -> None:
    theirs = FeatureExtractorInceptionV3(
        "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights.path
    )
    features, logits = theirs(image)
    found = ours(weights, "tf1", image)
    close(found["features"], features)
    close(found["logits"], logits)


@pytest.mark.parametrize("image", [IMAGE, LARGE], ids=["enlarged", "shrunk"])
def test_antialias_is_torchmetrics(weights: Weights, image: Tensor) -> None:
    fid = pytest.importorskip("torchmetrics.image.fid")
    theirs = fid.NoTrainInceptionV3("theirs", ["2048"], str(weights.path), antialias=True)
    close(ours(weights, "antialias", image)["features"], theirs(image))


@pytest.mark.parametrize("image", [IMAGE, LARGE], ids=["enlarged", "shrunk"])
def test_pytorch_is_pytorch_fid(weights: Weights, image: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    inception = pytest.importorskip("pytorch_fid.inception")
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *args, **kwargs: weights.state)
    theirs = inception.InceptionV3([3]).eval()
    # torchvision's ToTensor, which it reads files by, divides bytes by 255
    close(ours(weights, "pytorch", image)["features"], theirs(image.float() / 255.0)[0].flatten(1))


@pytest.mark.parametrize("image", [IMAGE, LARGE], ids=["enlarged", "shrunk"])
def test_clean_is_clean_fids_resizer(weights: Weights, image: Tensor) -> None:
    resizer = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    resized = np.stack([resizer(one.permute(1, 2, 0).numpy()) for one in image])
    theirs = torch.from_numpy(resized).permute(0, 3, 1, 2)
    # in units of one grey level of 255
    torch.testing.assert_close(to_inception(image, "clean") * 128.0 + 128.0, theirs, rtol=0.0, atol=1e-4)
    extractor = Inception(weights.path, sha256=weights.sha256, resize="clean")
    close(extractor(image)["features"].double(), extractor.features((theirs - 128.0) / 128.0))


def test_conventions_differ_by_far_more_than_they_are_matched(weights: Weights) -> None:
    extractor = Inception(weights.path, sha256=weights.sha256)
    found = {}
    for convention in CONVENTIONS:
        extractor.resize = convention
        found[convention] = extractor(IMAGE[:1])["features"]
    size = found["tf1"].abs().max()
    for i, one in enumerate(found):
        for other in list(found)[:i]:
            assert float((found[one] - found[other]).abs().max()) > 5e-4 * float(size), (one, other)
