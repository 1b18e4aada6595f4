"""Shards that others packed: indexed whole, or refused by name."""

import io
import json
import logging
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from packed import fill

from genbench.core import ConfigError, DataError
from genbench.data.image_folder import ImageFolder
from genbench.data.shard_index import INDEX
from genbench.data.shards import index_shards

library = pytest.importorskip("webdataset")

PATTERNS = {"train": "train-*.tar", "test": "val-*.tar"}


def write_shards(folder: Path, source: Path, **extra: bytes) -> None:
    """What someone else packed, with the library's own writer."""
    folder.mkdir()
    files = ImageFolder(str(source))._listings["train"]
    for split, rows in (("train", range(30)), ("val", range(30, 45))):
        pattern = str(folder / f"{split}-%04d.tar")
        with library.ShardWriter(pattern, maxcount=8, encoder=False, verbose=0) as shards:
            for row in rows:
                content = (source / files.files[row]).read_bytes()
                name = f"n{files.label[row]}/{row:04}"
                shards.write({"__key__": name, "PNG" if row % 2 else "jpg": content, "cls": b"%d" % (row % 4), **extra})


def test_shards_of_others_are_indexed(tmp_path: Path) -> None:
    write_shards(tmp_path / "theirs", fill(tmp_path / "source"), txt=b"a bird", json=b"{}")
    index = index_shards(tmp_path / "theirs", {"train": "train-*.tar", "test": "val-*.tar"}, "stop")
    assert index.classes == ["0", "1", "2", "3"]
    assert [label for shard in index.of("train") for label in shard.label or []] == [row % 4 for row in range(30)]
    assert [row for shard in index.of("test") for row in shard.row] == list(range(15))
    assert {caption for shard in index.shards for caption in shard.caption or []} == {"a bird"}
    with pytest.raises(ConfigError, match=r"is there already.*remove it first"):
        index_shards(tmp_path / "theirs", {"train": "train-*.tar", "test": "val-*.tar"}, "stop")


@pytest.mark.parametrize(
    ("patterns", "told"),
    [
        ({"train": "train-*.tar", "test": "none-*.tar"}, "no test shards none-"),
        ({"train": "*.tar", "test": "val-*.tar"}, "named for training and for testing"),
        ({"train": "../*.tar", "test": "val-*.tar"}, "files of the folder itself"),
    ],
)
def test_patterns_that_do_not_fit_are_named(tmp_path: Path, patterns, told: str) -> None:
    write_shards(tmp_path / "theirs", fill(tmp_path / "source"))
    with pytest.raises(ConfigError, match=told):
        index_shards(tmp_path / "theirs", patterns, "stop")


def test_what_cannot_be_indexed_is_named(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    write_shards(theirs, fill(tmp_path / "source"))
    patterns = {"train": "train-*.tar", "test": "val-*.tar"}

    def one(name: str, **sample: bytes) -> None:
        buffer = io.BytesIO()
        with library.TarWriter(buffer, encoder=False) as tar:
            tar.write({"__key__": "x/1", **sample})
        (theirs / name).write_bytes(buffer.getvalue())

    one("train-9999.tar", png=b"nothing", cls=b"0")
    with pytest.raises(DataError, match=r"train-9999\.tar: x/1\.png cannot be read as an image \(no image that Pillow"):
        index_shards(theirs, patterns, "stop")
    for sample, told in (
        ({"cls": b"0"}, r"x/1 has 0 images beside cls; expected one"),
        ({"png": b"", "jpg": b"", "cls": b"0"}, "x/1 has 2 images"),
        ({"png": b"", "cls": b"cat"}, "is no number"),
        ({"png": b"", "cls": b"-1"}, "the label -1; expected 0"),
    ):
        one("train-9999.tar", **sample)
        with pytest.raises(DataError, match=told):
            index_shards(theirs, patterns, "skip")
    (theirs / "train-9999.tar").write_bytes((theirs / "train-0000.tar").read_bytes()[:2000])
    with pytest.raises(DataError, match=r"train-9999\.tar cannot be read as an uncompressed tar"):
        index_shards(theirs, patterns, "skip")
    one("train-9999.tar", png=b"nothing", cls=b"0")
    index = index_shards(theirs, patterns, "skip")
    assert index.left_out == [f"{theirs / 'train-9999.tar'}: x/1.png"]
    assert json.loads((theirs / INDEX).read_text().splitlines()[1])["left_out"] == index.left_out
    assert sum(shard.images for shard in index.of("train")) == 30


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Six shards, of 8 training images each but for the last."""
    write_shards(tmp_path / "theirs", fill(tmp_path / "source", 20))
    return tmp_path / "theirs"


@pytest.mark.parametrize("where", ["before a header", "within a header", "within an image", "after all images"])
@pytest.mark.parametrize("zeros", [False, True])
def test_a_shard_that_is_cut_short_is_refused(theirs: Path, where: str, zeros: bool) -> None:
    path = theirs / "train-0001.tar"
    content = path.read_bytes()
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    middle, last = members[6], members[-1]
    kept = {
        "before a header": middle.offset,
        "within a header": middle.offset + 100,
        "within an image": middle.offset_data + 30,
        "after all images": last.offset_data + -(-last.size // 512) * 512,
    }[where]
    path.write_bytes(content[:kept] + bytes(2**21 if zeros else 0))  # as some downloads hold the place of what follows
    if where == "within an image" and not zeros:
        told = r"cannot be read as an uncompressed tar \(unexpected end of data\)"
    else:
        told = r"is cut short \(.* at byte \d+ of \d+\)"
    with pytest.raises(DataError, match=rf"train-0001\.tar {told}; restore it, or take it out"):
        index_shards(theirs, PATTERNS, "skip")
    assert not (theirs / INDEX).exists()


def test_a_sample_that_lost_a_file_is_told_as_a_cut(theirs: Path) -> None:
    path = theirs / "val-0001.tar"
    with tarfile.open(path) as tar:
        image = tar.getmembers()[1]  # the label comes first
    path.write_bytes(path.read_bytes()[: image.offset])
    with pytest.raises(DataError, match=r"val-0001\.tar is cut short"):
        index_shards(theirs, PATTERNS, "stop")


@pytest.mark.parametrize("content", [bytes(10_240), bytes(1024)])
def test_a_shard_without_images_is_refused(theirs: Path, content: bytes) -> None:
    (theirs / "train-0001.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"train-0001\.tar has no images; restore it, or take it out"):
        index_shards(theirs, PATTERNS, "skip")


@pytest.mark.parametrize("options", [[], ["--format=pax"], ["--blocking-factor=2048"], ["--blocking-factor=1"]])
@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar to write with")
def test_whole_shards_of_any_writer_are_indexed(tmp_path: Path, options: list[str]) -> None:
    source, theirs = fill(tmp_path / "source", 5), tmp_path / "theirs"
    long = "x" * 150  # a name that takes a header of its own
    for path in source.rglob("*.part.*"):
        path.rename(path.with_name(f"{path.name[:2]}{long}{path.suffix}"))
    theirs.mkdir()
    names = sorted(path.name for path in source.iterdir())
    subprocess.run(["tar", "-C", source, *options, "-cf", theirs / "train-0.tar", *names], check=True)
    with tarfile.open(theirs / "val-0.tar", "w") as tar:
        tar.add(source, "all")
    index = index_shards(theirs, PATTERNS, "stop")
    assert [shard.images for shard in index.shards] == [15, 15]


def test_holes_in_a_series_are_told(theirs: Path, caplog: pytest.LogCaptureFixture) -> None:
    (theirs / "train-0001.tar").unlink()
    with caplog.at_level(logging.WARNING):
        index_shards(theirs, PATTERNS, "stop")
    assert caplog.messages == [f"1 of the 4 files {theirs}/train-* are missing, the first is number 1"]
    (theirs / INDEX).unlink()
    caplog.clear()
    index_shards(theirs, {"train": "train-000[03].tar", "test": "train-0002.tar"}, "stop")
    assert caplog.messages == [f"1 of the 4 files {theirs}/train-* are missing, the first is number 1"]
