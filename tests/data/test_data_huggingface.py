"""Hugging Face's datasets: columns by name, from disk, and never the network unless it is allowed."""

import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.data.huggingface import HuggingFace, Rows
from genbench.data.images import ResidentTable

library = pytest.importorskip("datasets")

RNG = np.random.default_rng(4)


def rows(n: int, **columns: list) -> "library.Dataset":
    pixels = [RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8) for _ in range(n)]
    features = {"image": library.Image(), "kind": library.ClassLabel(names=["cat", "dog", "owl"])}
    known = {"image": [Image.fromarray(each) for each in pixels], "kind": [i % 2 for i in range(n)]}
    words = {"text": [f"number {i}" for i in range(n)], **columns}
    kinds = {name: library.Value("string" if isinstance(v[0], str) else "int64") for name, v in words.items()}
    return library.Dataset.from_dict(known | words, features=library.Features(features | kinds))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    library.DatasetDict({"train": rows(12), "test": rows(5)}).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def test_images_labels_and_captions_are_those_of_the_columns(folder):
    dataset = HuggingFace(str(folder), label_column="kind", caption_column="text")
    assert dataset.spec == ImageSpec(3, 6, 5, num_classes=3, captions=True)
    stored = library.load_from_disk(str(folder))["test"]
    images = dataset.table("test").take([4, 1])
    assert images.caption == ["number 4", "number 1"]
    assert images.label.tolist() == [0, 1]
    expected = torch.from_numpy(np.stack([np.array(stored[i]["image"]) for i in (4, 1)])).permute(0, 3, 1, 2)
    assert torch.equal(images.image, expected)
    assert dataset.table("train").caption == [f"number {i}" for i in range(12)]


def test_columns_that_are_not_named_are_not_read(folder):
    dataset = HuggingFace(str(folder), size=4, resize="bicubic", channels=1)
    assert dataset.spec == ImageSpec(1, 4, 4)
    assert dataset.table("train").caption is dataset.table("train").label is None


def test_read_as_needed_or_at_once_they_are_the_same(folder):
    resident = HuggingFace(str(folder), caption_column="text").table("train")
    needed = HuggingFace(str(folder), caption_column="text", resident_limit=0).table("train")
    assert isinstance(resident, ResidentTable)
    assert isinstance(needed, Rows)
    assert torch.equal(resident.take([7, 0]).image, needed.take([7, 0]).image)
    assert resident.take([7]).caption == needed.take([7]).caption == ["number 7"]
    assert (
        needed.fingerprint()
        == HuggingFace(str(folder), caption_column="text", resident_limit=0).table("train").fingerprint()
    )
    assert needed.fingerprint() != HuggingFace(str(folder), resident_limit=0).table("train").fingerprint()


def test_without_a_test_split_rows_are_set_aside(tmp_path):
    rows(60).save_to_disk(tmp_path)
    dataset = HuggingFace(str(tmp_path), caption_column="text", test_split=None, test_fraction=0.25)
    parts = [dataset.table(split).caption for split in ("train", "test")]
    assert sorted(parts[0] + parts[1]) == sorted(f"number {i}" for i in range(60))
    assert 5 <= len(parts[1]) <= 25
    with pytest.raises(DataError, match=r"leaves 0 for testing; name a split with data\.test_split"):
        HuggingFace(str(tmp_path), test_split=None, test_fraction=0.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"caption_column": "txt"}, "split train has no column 'txt', only image, kind, text: name them"),
        ({"test_split": "validation"}, "has no split 'validation', only train, test"),
        ({"image_column": "text"}, "row 0: column 'text' holds str, no image"),
        ({"label_column": "text"}, "row 0: text is 'number 0'; expected a class, 0 or more"),
        ({"caption_column": "kind"}, "row 0: kind is '0'; expected text"),
        ({"channels": 1}, "row 0 has mode RGB, expected L"),
    ],
)
def test_what_does_not_fit_is_named(folder, change, told):
    with pytest.raises(DataError, match=told):
        HuggingFace(str(folder), **change)


def test_an_image_of_another_size_is_named(tmp_path):
    images = [Image.new("RGB", (5, 6))] * 3 + [Image.new("RGB", (4, 6))]
    data = library.Dataset.from_dict({"image": images}, features=library.Features({"image": library.Image()}))
    library.DatasetDict({"train": data, "test": data}).save_to_disk(tmp_path / "odd")
    with pytest.raises(DataError, match=r"row 3 is 6x4, but the first row is 6x5; .*data\.resize=bicubic"):
        HuggingFace(str(tmp_path / "odd")).table("train")


def test_nothing_is_downloaded_unless_it_is_allowed(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(ConfigError, match=r"nobody/nothing is neither a folder .* set data\.download=true"):
        HuggingFace("nobody/nothing")
    (tmp_path / "a.png").touch()
    with pytest.raises(ConfigError, match=r"is no folder that save_to_disk wrote .* read by data=image_folder"):
        HuggingFace(str(tmp_path))


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"needs datasets: pip install 'genbench\[huggingface\]'"):
        HuggingFace("anything")
