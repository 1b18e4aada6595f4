"""References: read once, kept by content, exported and imported."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_sources import SPEC, Projection

from genbench.core import ConfigError, DataError
from genbench.data.images import ResidentTable
from genbench.evaluation import Reference
from genbench.evaluation.sources import NoiseSource, TableSource
from genbench.evaluation.statistics_file import moments_sha256

IMAGE, LABEL = NoiseSource(SPEC).draw(0, range(300))


def source(image: torch.Tensor = IMAGE, label: torch.Tensor | None = LABEL) -> TableSource:
    return TableSource(ResidentTable(image, label), "noise")


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.read(source(), Projection())


def test_the_moments_are_those_of_every_row(reference: Reference) -> None:
    features = Projection()(IMAGE)["features"].double().numpy()
    np.testing.assert_allclose(reference.moments.mean, features.mean(0), rtol=0, atol=1e-7)
    np.testing.assert_allclose(reference.moments.covariance, np.cov(features, rowvar=False), rtol=0, atol=1e-7)
    assert reference.moments.count == 300
    # the hash that published protocols carry: shape and pixels, in order
    assert reference.sha256 == Reference.read(source(label=None), Projection(), batch=7).sha256
    assert reference.sha256 != Reference.read(source(IMAGE.flip(0)), Projection()).sha256
    assert reference.sha256 != Reference.read(source(IMAGE.reshape(300, 1, 4, 16)), Projection()).sha256


def test_the_cache_serves_the_same_content_and_extractor_only(tmp_path: Path, reference: Reference) -> None:
    def extracted(*, image: torch.Tensor = IMAGE, label: Any = LABEL, name: str = "projection") -> int:
        extractor = Projection(name)
        found = Reference.read(source(image, label), extractor, cache=tmp_path)
        assert found.table is not None
        assert found.table.label is None if label is None else torch.equal(found.table.label, label)  # type: ignore[arg-type]
        if name == "projection" and image is IMAGE:
            assert torch.equal(found.moments.covariance, reference.moments.covariance)
        return extractor.seen

    changed = IMAGE.clone()
    changed[299, 0, 7, 7] ^= 255
    assert [extracted(), extracted()] == [300, 0]
    assert [extracted(image=changed), extracted(image=changed)] == [300, 0]
    # labels are kept beside features, so corrected ones must not find the old
    assert [extracted(label=LABEL.flip(0)), extracted(label=None)] == [300, 300]  # type: ignore[union-attr]
    assert [extracted(name="another"), extracted()] == [300, 0]


def test_images_are_kept_when_asked(tmp_path: Path) -> None:
    for _ in range(2):
        found = Reference.read(source(), Projection(), cache=tmp_path, keep_images=True)
        assert found.table is not None
        assert torch.equal(found.table.image, IMAGE)  # type: ignore[arg-type]


def test_an_export_comes_back_bit_for_bit(tmp_path: Path, reference: Reference) -> None:
    reference.export(tmp_path / "stats.npz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Reference.load(tmp_path / "stats.npz", Projection())
    assert torch.equal(found.moments.mean, reference.moments.mean)
    assert torch.equal(found.moments.covariance, reference.moments.covariance)
    assert (found.sha256, found.moments.count, found.table) == (reference.sha256, 300, None)
    assert found.extractor == Projection().identity()
    found.export(tmp_path / "again.npz")
    assert Reference.load(tmp_path / "again.npz", Projection()).sha256 == reference.sha256


def test_other_evaluators_read_an_export(tmp_path: Path, reference: Reference) -> None:
    fid_score = pytest.importorskip("pytorch_fid.fid_score")
    reference.export(tmp_path / "stats.npz")
    mu, sigma = fid_score.compute_statistics_of_path(str(tmp_path / "stats.npz"), None, 1, 16, "cpu")
    assert (mu.dtype, sigma.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(mu, reference.moments.mean.numpy())
    np.testing.assert_array_equal(sigma, reference.moments.covariance.numpy())
    assert fid_score.calculate_frechet_distance(mu, sigma, mu, sigma) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_statistics_of_other_evaluators_are_read_with_a_warning(
    tmp_path: Path, save: Callable[..., None], dtype: Any
) -> None:
    features = np.random.default_rng(0).normal(size=(500, 16)).astype(dtype)
    mu, sigma = features.mean(0), np.cov(features, rowvar=False).astype(dtype)
    # ADM's files hold more
    save(tmp_path / "theirs.npz", mu=mu, sigma=sigma, mu_s=mu, arr_0=np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.warns(UserWarning, match=r"theirs\.npz does not say which extractor.*projection \(bytes / 255\)"):
        found = Reference.load(tmp_path / "theirs.npz", Projection())
    np.testing.assert_allclose(found.moments.mean, mu, rtol=1e-12)
    np.testing.assert_allclose(found.moments.covariance, sigma, rtol=0, atol=1e-7 if dtype == np.float32 else 0)
    assert found.moments.mean.dtype == found.moments.covariance.dtype == torch.float64
    assert (found.table, found.moments.count, found.extractor) == (None, None, None)
    assert found.sha256 == moments_sha256(found.moments)


def test_another_extractors_statistics_are_refused_with_both_names(tmp_path: Path, reference: Reference) -> None:
    reference.export(tmp_path / "stats.npz")
    with pytest.raises(ConfigError, match=r"stats\.npz was made with .*name=projection,.*judged with name=another,"):
        Reference.load(tmp_path / "stats.npz", Projection("another"))


def spoilt(path: Path, arrays: dict[str, Any], how: str) -> None:
    mu, sigma = arrays["mu"], arrays["sigma"]
    if how == "tampered":
        np.savez(path, **(arrays | {"mu": mu + 1e-9}))
    elif how == "no facts":
        np.savez(path, **(arrays | {"genbench": json.dumps({"count": 3})}))
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "single":
        with path.open("wb") as file:
            np.save(file, mu)
    elif how == "pickle":
        np.savez(path, mu=np.array([{"code": "runs"}], dtype=object), sigma=sigma)
    elif how == "images":
        np.savez(path, arr_0=np.zeros((2, 4, 4, 3), np.uint8))
    else:
        sigma, mu = sigma.copy(), mu.copy()
        if how == "nan":
            mu[3] = np.nan
        elif how == "inf":
            sigma[3, 3] = np.inf
        elif how == "skew":
            sigma[0, 1] += 1.0
        elif how == "negative":
            sigma[0, 0] = -1.0
        np.savez(path, mu=mu[None] if how == "2d" else mu[:5] if how == "short" else mu, sigma=sigma)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("tampered", "not those it was written with"),
        ("no facts", "key genbench: cannot be read"),
        ("cut", "cut short"),
        ("single", "single array|not an npz"),
        ("pickle", "not an npz of arrays"),
        ("images", "has no mu and no sigma but arr_0"),
        ("nan", "NaN or infinite"),
        ("inf", "NaN or infinite"),
        ("skew", "no covariance.*asymmetry up to 1"),
        ("negative", "no covariance.*least variance -1"),
        ("2d", r"mu is float64 of shape \(1, 16\)"),
        ("short", r"mu is float64 of shape \(5,\), sigma float64 of shape \(16, 16\)"),
    ],
)
def test_spoilt_statistics_are_refused(tmp_path: Path, reference: Reference, how: str, message: str) -> None:
    path = tmp_path / "stats.npz"
    reference.export(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    spoilt(path, arrays, how)
    with pytest.raises(DataError, match=rf"stats\.npz.*({message})") as told:
        Reference.load(path, Projection())
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz does not exist"):
        Reference.load(tmp_path / "absent.npz", Projection())
