"""Packing into shards: the same bytes each time, resumed, verified, and never over something else."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from packed import SMALL, fill, packed

from genbench.core import ConfigError, DataError
from genbench.data import pack as packing
from genbench.data.pack import pack
from genbench.data.shard_index import INDEX, read_index
from genbench.data.shards import index_shards
from genbench.data.unfinished import NOTE

library = pytest.importorskip("webdataset")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_library_reads_what_was_packed(tmp_path: Path) -> None:
    source, out = packed(tmp_path)
    index = read_index((out / INDEX).read_bytes(), "index")
    urls = [str(out / shard.name) for shard in index.of("train")]
    samples = list(library.WebDataset(urls, shardshuffle=False, empty_check=False).decode("pil"))
    names = [name for shard in index.of("train") for name in shard.file]
    classes = sorted(path.name for path in source.iterdir())
    assert [classes[sample["cls"]] for sample in samples] == [name.split("/")[0] for name in names]
    raw = library.WebDataset(urls, shardshuffle=False, empty_check=False)
    assert all((source / name).read_bytes() in sample.values() for name, sample in zip(names, raw, strict=True))
    for shard in index.shards:
        assert (out / shard.name).stat().st_size == shard.nbytes
        assert shard.images <= 10
        # dealt out: no shard is of one class, though the files come class by class
        assert shard.images < 10 or len({name.split("/")[0] for name in shard.file}) > 1


def test_a_shard_ends_before_its_size_is_exceeded(tmp_path: Path) -> None:
    source = fill(tmp_path / "source", 20)
    with (source / "cat" / "00.part.png").open("ab") as file:
        file.write(bytes(900_000))  # what follows an image in its file is no part of it
    with (source / "dog" / "00.part.png").open("ab") as file:
        file.write(bytes(900_000))
    index, _ = pack(source, tmp_path / "out", replace(SMALL, shard_images=1000, shard_mb=1))
    assert all(sum(shard.size) < 1_000_000 for shard in index.shards)
    assert len(index.shards) == 3


def test_repeated_it_changes_nothing_and_mends_what_is_damaged(tmp_path: Path) -> None:
    source, out = packed(tmp_path)
    before = contents(out)
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert pack(source, out, SMALL)[1] == 0
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")} == times
    (out / "train-000001.tar").unlink()
    flipped = bytearray(before["train-000002.tar"])
    flipped[3000] ^= 1
    (out / "train-000002.tar").write_bytes(flipped)
    assert pack(source, out, SMALL)[1] == 2
    assert contents(out) == before


@pytest.mark.parametrize("left", [None, b"", b"{}\n", 300, "indexed"])
def test_a_lost_or_damaged_index_is_written_again(tmp_path: Path, left: bytes | int | str | None) -> None:
    source, out = packed(tmp_path, 20)
    before = contents(out)
    (out / INDEX).unlink()
    if left == "indexed":  # as of the shards of others, with other classes and rows
        index_shards(out, {"train": "train-*.tar", "test": "test-*.tar"}, "stop")
    elif left is not None:
        (out / INDEX).write_bytes(before[INDEX][:left] if isinstance(left, int) else left)
    (out / "train-000001.tar").write_bytes(b"damaged too")
    pack(source, out, SMALL)
    assert contents(out) == before


def test_the_mending_of_an_index_may_be_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = packed(tmp_path, 20)
    before = contents(out)
    (out / INDEX).unlink()

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, "write_index", cut)
        with pytest.raises(KeyboardInterrupt):
            pack(source, out, SMALL)
    assert not (out / INDEX).exists()
    assert pack(source, out, SMALL)[1] == 0
    assert contents(out) == before


def test_a_packing_without_a_note_is_known_by_its_index(tmp_path: Path) -> None:
    source, out = packed(tmp_path, 20)
    before = contents(out)
    (out / NOTE).unlink()
    with pytest.raises(ConfigError, match="holds shards of other images, or cut differently: choose another out"):
        pack(source, out, replace(SMALL, shard_images=20))
    (out / INDEX).write_bytes(before[INDEX][:-300])
    with pytest.raises(DataError, match=r"is no index of shards .* repeat the `genbench data pack`"):
        pack(source, out, SMALL)
    (out / INDEX).unlink()
    with pytest.raises(ConfigError, match="holds something else"):
        pack(source, out, SMALL)
    (out / INDEX).write_bytes(before[INDEX])
    assert pack(source, out, SMALL)[1] == 0
    assert contents(out) == before, "and has its note from then on"


@pytest.mark.parametrize("theirs", [b"[]", b'{"settings": {}}', b"no json"])
def test_a_note_of_something_else_is_none(tmp_path: Path, theirs: bytes) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NOTE).write_bytes(theirs)
    with pytest.raises(ConfigError, match="holds something else"):
        pack(fill(tmp_path / "source", 20), tmp_path / "out", SMALL)


def test_interrupted_it_goes_on_and_ends_as_if_it_never_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, whole = packed(tmp_path)
    written = []

    def cut(path: Path, *arguments: object, write=packing._write) -> object:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path.name)
        return write(path, *arguments)

    out = tmp_path / "cut"
    with monkeypatch.context() as patch:
        patch.setattr(packing, "_write", cut)
        with pytest.raises(KeyboardInterrupt):
            pack(source, out, SMALL)
    assert not (out / INDEX).exists()
    with pytest.raises(ConfigError, match=r"unfinished packing of source=.* shard_images=10 .*: choose another out"):
        pack(source, out, replace(SMALL, shard_images=20))
    shards = len(list(whole.glob("*.tar")))
    assert pack(source, out, SMALL)[1] == shards - 3
    assert contents(out) == contents(whole)


def test_mended_files_cost_their_own_shard_alone(tmp_path: Path) -> None:
    source = fill(tmp_path / "source")
    bad = source / "dog" / "07.part.jpg"
    good = bad.read_bytes()
    bad.write_bytes(good[:100])
    with pytest.raises(DataError, match=r"dog/07\.part\.jpg cannot be read as an image \(.*on_error=skip"):
        pack(source, tmp_path / "out", SMALL)
    done = len(list((tmp_path / "out").glob("*.tar")))
    bad.write_bytes(good)
    index, written = pack(source, tmp_path / "out", SMALL)
    assert 0 < done == len(index.shards) - written


def test_unreadable_files_are_left_out_and_named(tmp_path: Path) -> None:
    source = fill(tmp_path / "source")
    (source / "dog" / "07.part.jpg").write_bytes(b"nothing")
    skipping = replace(SMALL, on_error="skip")
    index, _ = pack(source, tmp_path / "out", skipping)
    assert index.left_out == [str(source / "dog" / "07.part.jpg")]
    assert sum(shard.images for shard in index.shards) == 149
    assert pack(source, tmp_path / "out", skipping)[1] == 0


def test_a_link_to_nothing_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    source = fill(tmp_path / "source")
    link = source / "dog" / "07.part.jpg"
    link.unlink()
    link.symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(DataError, match=r"dog/07\.part\.jpg cannot be read as an image \(No such file.*on_error=skip"):
        pack(source, tmp_path / "out", SMALL)
    skipping = replace(SMALL, on_error="skip")
    index, _ = pack(source, tmp_path / "out", skipping)
    assert index.left_out == [str(link)]
    assert sum(shard.images for shard in index.shards) == 149
    assert pack(source, tmp_path / "out", skipping)[1] == 0


def test_nothing_else_is_written_over(tmp_path: Path) -> None:
    source, out = packed(tmp_path)
    before = contents(out)
    told = r"holds shards that were packed otherwise \(shard_images: 10 there, 20 here; shard_mb: 100 there, 1 here\): "
    with pytest.raises(ConfigError, match=told + "choose another out"):
        pack(source, out, replace(SMALL, shard_images=20, shard_mb=1))
    (out / INDEX).unlink()
    with pytest.raises(ConfigError, match=told):
        pack(source, out, replace(SMALL, shard_images=20, shard_mb=1))
    os.utime(source / "cat" / "00.part.png", (0, 0))
    with pytest.raises(ConfigError, match="holds shards of other images: choose another out"):
        pack(source, out, SMALL)
    (out / INDEX).write_bytes(before[INDEX])
    with pytest.raises(ConfigError, match="holds shards of other images: choose another out"):
        pack(source, out, SMALL)
    with pytest.raises(ConfigError, match="holds something else"):
        pack(source, fill(tmp_path / "full", 1), SMALL)
    with pytest.raises(ConfigError, match="lies in"):
        pack(source, source / "shards", SMALL)
    (tmp_path / "packed.tar").write_bytes(b"a tar")
    with pytest.raises(ConfigError, match=r"packed\.tar is a file: choose another out, a folder"):
        pack(source, tmp_path / "packed.tar", SMALL)
    assert contents(out) == before


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "source"), tmp_path / "out"
    (out / ".unfinished").mkdir(parents=True)
    (out / ".unfinished" / "what").write_text(
        f"source={source} shard_images=10 shard_mb=100 caption_column=text test_fraction=0.1"
    )
    with FileLock(out / ".unfinished" / "lock"), pytest.raises(ConfigError, match="another process is packing into"):
        pack(source, out, SMALL)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content[:-300], "its checksum differs"),
        (lambda content: content.replace(b'"label": [', b'"label": [1'), "its checksum differs"),
        (lambda content: b"", "JSONDecodeError"),
        (lambda content: b'{"images": 3}\n', "KeyError: 'sha256'"),
    ],
)
def test_a_damaged_index_is_refused(tmp_path: Path, change, told: str) -> None:
    _, out = packed(tmp_path, 20)
    content = (out / INDEX).read_bytes()
    with pytest.raises(DataError, match=rf"some/index.* is no index of shards \({told}|some/index.*{told}"):
        read_index(change(content), "some/index.jsonl")


def test_an_index_names_no_file_elsewhere(tmp_path: Path) -> None:
    index, _ = pack(fill(tmp_path / "source", 20), tmp_path / "out", SMALL)
    with pytest.raises(ValueError, match="lies elsewhere"):
        replace(index.shards[0], name="../../train-000000.tar")
