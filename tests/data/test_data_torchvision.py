import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from genbench.core import DataError, ImageSpec
from genbench.data.torchvision_sets import CIFAR10, MNIST, FashionMNIST


def test_real_fashion_mnist(fashion_root) -> None:
    dataset = FashionMNIST(root=str(fashion_root))
    train, test = dataset.table("train"), dataset.table("test")
    assert (len(train), len(test)) == (60_000, 10_000)
    image = train.take(range(60_000)).image
    assert image.shape == (60_000, *dataset.spec.shape)
    assert float(image.double().mean()) == pytest.approx(72.9404, abs=5e-5)
    assert torch.bincount(train.label).tolist() == [6_000] * 10
    assert torch.bincount(test.label).tolist() == [1_000] * 10
    assert train.label[:5].tolist() == [9, 0, 0, 3, 0]
    assert dataset.table("train") is train


def test_truncated_files_are_an_error(fashion_root, tmp_path) -> None:
    FashionMNIST(root=str(fashion_root)).table("train")
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (fashion_root / "FashionMNIST" / "raw").glob("*ubyte"):
        (raw / file.name).write_bytes(file.read_bytes()[:5_000])
    with pytest.raises(DataError, match=r"fashion_mnist cannot be read: put train-images-idx3-ubyte\.gz"):
        FashionMNIST(root=str(tmp_path)).table("train")


@pytest.mark.parametrize(
    ("dataset", "file", "folder"),
    [
        (MNIST, "t10k-labels-idx1-ubyte.gz", "MNIST/raw"),
        (FashionMNIST, "train-images-idx3-ubyte.gz", "FashionMNIST/raw"),
        (CIFAR10, "cifar-10-python.tar.gz", ""),
    ],
)
def test_missing_files_and_their_place_are_named(dataset, file, folder, tmp_path) -> None:
    with pytest.raises(DataError, match=r"data\.root=FOLDER.*data\.download=true") as error:
        dataset(root=str(tmp_path), download=False).table("train")
    assert file in str(error.value)
    assert f"into {tmp_path / folder} " in str(error.value)


@pytest.mark.parametrize("dataset", [MNIST, CIFAR10])
def test_a_failed_download_is_one_line(dataset, tmp_path, monkeypatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("<urlopen error no network>")

    monkeypatch.setattr("torchvision.datasets.utils.urllib.request.urlopen", offline)
    with pytest.raises(DataError, match="no network") as error:
        dataset(root=str(tmp_path)).table("train")
    assert "\n" not in str(error.value)


def test_root_is_the_environments_unless_given(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GENBENCH_DATA", str(tmp_path))
    assert MNIST().root == tmp_path
    assert MNIST(root="elsewhere").root == Path("elsewhere")
    monkeypatch.delenv("GENBENCH_DATA")
    assert MNIST().root == Path.home() / ".cache" / "genbench"


def test_cifar10_is_read_in_its_own_layout(tmp_path, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()

    def write(name: str, content: dict) -> str:
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    planes = rng.integers(0, 256, (30, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, 30).tolist()
    part = lambda rows: {"data": planes[rows].reshape(-1, 3072), "labels": labels[rows]}  # noqa: E731
    monkeypatch.setattr(
        datasets.CIFAR10,
        "train_list",
        [
            ["data_batch_1", write("data_batch_1", part(slice(0, 10)))],
            ["data_batch_2", write("data_batch_2", part(slice(10, 20)))],
        ],
    )
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", write("test_batch", part(slice(20, 30)))]])
    meta = {**datasets.CIFAR10.meta, "md5": write("batches.meta", {"label_names": list("abcdefghij")})}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    monkeypatch.setattr(CIFAR10, "facts", replace(CIFAR10.facts, images={"train": 20, "test": 10}))
    dataset = CIFAR10(root=str(tmp_path), download=False)
    assert dataset.spec == ImageSpec(3, 32, 32, 10)
    assert torch.equal(dataset.table("train").take(range(20)).image, torch.from_numpy(planes[:20]))
    assert dataset.table("test").label.tolist() == labels[20:]
    (folder / "data_batch_2").write_bytes(b"changed")
    with pytest.raises(DataError, match="corrupted"):
        CIFAR10(root=str(tmp_path), download=False).table("train")
