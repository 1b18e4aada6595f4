"""Shards: the images of the folder they were packed from, in an order that seed and images seen decide alone."""

import http.server
import logging
import pickle
import shutil
import sys
import threading
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from epochs import check_epochs
from packed import SMALL, fill, packed
from PIL import Image

from genbench.core import ConfigError, DataError
from genbench.data.image_folder import ImageFolder
from genbench.data.images import Images, ImageTable, ResidentTable
from genbench.data.loader import TrainLoader
from genbench.data.pack import Packing, pack
from genbench.data.shard_index import INDEX, read_index
from genbench.data.webdataset import WebDataset

pytest.importorskip("webdataset")

FIT = {"size": 8, "resize": "bicubic", "crop": "center"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Images and their shards, which no test changes."""
    return packed(tmp_path_factory.mktemp("packed"))


@pytest.fixture
def out(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the shards."""
    return Path(shutil.copytree(folders[1], tmp_path / "copy"))


def streamed(out: Path | str, **change: object) -> ImageTable:
    return WebDataset(str(out), **{**FIT, "resident_limit": 0, "shuffle_shards": 3, **change}).table("train")


def same(one: Images, other: Images) -> bool:
    return torch.equal(one.image, other.image) and torch.equal(one.index, other.index) and one.caption == other.caption


def test_a_shard_of_which_nothing_could_be_read_is_no_hindrance(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "source", 20), tmp_path / "out"
    (source / "dog" / "02.part.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="on_error=skip"):
        pack(source, out, Packing(shard_images=1))
    index, _ = pack(source, out, Packing(shard_images=1, on_error="skip"))  # goes on with what is there
    assert sorted(shard.images for shard in index.shards) == [0, *[1] * 59]
    data = WebDataset(str(out), **FIT)
    labels = torch.cat([data.table(split).label for split in ("train", "test")])
    assert torch.bincount(labels).tolist() == [20, 19, 20]


@pytest.mark.parametrize("settings", [FIT, {**FIT, "channels": 1}, {"size": 6, "crop": "center"}])
def test_it_is_the_folder_it_was_packed_from(folders: tuple[Path, Path], settings: dict) -> None:
    source, out = folders
    folder, shards = ImageFolder(str(source), **settings), WebDataset(str(out), **settings)
    reading = WebDataset(str(out), **settings, resident_limit=0)
    assert folder.spec == shards.spec == reading.spec
    for split in ("train", "test"):
        table = folder.table(split)
        every = table.take(range(len(table)))
        assert isinstance(shards.table(split), ResidentTable)
        assert shards.table(split).fingerprint() == table.fingerprint()
        assert torch.equal(reading.table(split).label, table.label)
        assert same(reading.table(split).take(range(len(table))), every)


def test_captions_come_along(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / "source" / split).mkdir(parents=True)
        lines = []
        for i in range(25):
            pixels = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "source" / split / f"{i}.png")
            lines.append(f'{{"file_name": "{i}.png", "said": "{split} çäption {i}"}}\n')
        (tmp_path / "source" / split / "metadata.jsonl").write_text("".join(lines))
    pack(tmp_path / "source", tmp_path / "out", type(SMALL)(shard_images=10, caption_column="said"))
    folder = ImageFolder(str(tmp_path / "source"), caption_column="said")
    shards = WebDataset(str(tmp_path / "out"), resident_limit=0)
    assert shards.spec == folder.spec
    assert shards.spec.captions
    for split in ("train", "test"):
        assert shards.table(split).caption == folder.table(split).caption
        assert same(shards.table(split).take([7, 2]), folder.table(split).take([7, 2]))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_image_once_an_epoch_over_any_ranks_and_workers(folders, workers: int, world: int) -> None:
    check_epochs(streamed(folders[1]), world, workers)


@pytest.mark.parametrize(("seen", "workers"), [(1, 0), (40, 0), (137, 2), (259, 0)])
def test_from_any_image_on_it_goes_on_as_uninterrupted(folders, seen: int, workers: int) -> None:
    table = streamed(folders[1])
    whole = list(TrainLoader(table, 1, 300, 3))
    resumed = TrainLoader(table, 10, 300, 3, seen=lambda: seen, workers=workers)
    index, image = (torch.cat([getattr(batch, part) for batch in whole[seen:]]) for part in ("index", "image"))
    rest = list(resumed)
    assert torch.equal(torch.cat([batch.index for batch in rest]), index)
    assert torch.equal(torch.cat([batch.image for batch in rest]), image)


def test_a_few_shards_at_a_time_are_open_and_their_images_mixed(folders) -> None:
    table = streamed(folders[1])
    order = table.shuffled(torch.Generator().manual_seed(0))
    shards = table._shard[order].tolist()
    starts = {shard: shards.index(shard) for shard in shards}
    ends = {shard: len(shards) - 1 - shards[::-1].index(shard) for shard in shards}
    at_once = [sum(starts[s] <= position <= ends[s] for s in starts) for position in range(len(shards))]
    assert max(at_once) == 3
    assert len(starts) > 9
    inside = sum(one != other for one, other in pairwise(shards)) / len(shards)
    assert inside > 0.5  # of three shards two neighbours are of different ones in two of three cases
    whole = streamed(folders[1], shuffle_shards=100)
    drawn = torch.Generator().manual_seed(0)
    assert torch.equal(whole.shuffled(torch.Generator().manual_seed(0)), torch.randperm(len(whole), generator=drawn))


def test_the_fingerprint_follows_the_bytes_and_what_is_made_of_them(folders, out: Path) -> None:
    first = streamed(folders[1]).fingerprint()
    assert streamed(out).fingerprint() == first, "shards that lie elsewhere are the same"
    assert streamed(out, resize="lanczos").fingerprint() != first
    assert WebDataset(str(out), **FIT, resident_limit=0).table("test").fingerprint() != first
    (out / "train-000003.tar").unlink()
    assert streamed(out, on_error="skip").fingerprint() != first


def test_a_table_crosses_to_processes_that_are_not_forked(folders) -> None:
    table = streamed(folders[1])
    again = pickle.loads(pickle.dumps(table))
    assert same(again.take([3, 70]), table.take([3, 70]))


def damage(out: Path, row: int) -> str:
    """Flips a byte of a training image, and says which file it was."""
    index = read_index((out / INDEX).read_bytes(), "index")
    shard, k = next((shard, shard.row.index(row)) for shard in index.of("train") if row in shard.row)
    content = bytearray((out / shard.name).read_bytes())
    content[shard.offset[k] + shard.size[k] // 2] ^= 1
    (out / shard.name).write_bytes(content)
    return f"{shard.name}: {shard.file[k]}"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_stops_and_is_named(out: Path, workers: int) -> None:
    told = damage(out, 17)
    table = streamed(out)
    with pytest.raises(
        DataError, match=rf"{told} is damaged \(.*restore the shard, or .* data\.on_error=skip"
    ) as error:
        list(TrainLoader(table, 10, len(table) // 10 * 10 + 10, 0, workers=workers))
    assert "\n" not in str(error.value)


def test_a_missing_or_cut_shard_stops_before_anything_is_read(out: Path) -> None:
    content = (out / "train-000002.tar").read_bytes()
    (out / "train-000002.tar").write_bytes(content[:-2000])
    with pytest.raises(DataError, match=rf"train-000002\.tar has {len(content) - 2000} bytes and should have"):
        WebDataset(str(out), **FIT)
    (out / "train-000002.tar").unlink()
    with pytest.raises(DataError, match=r"train-000002\.tar is missing: restore it, or .* data\.on_error=skip"):
        WebDataset(str(out), **FIT)


def test_skipping_leaves_out_what_is_damaged_everywhere_alike(folders, out: Path, caplog) -> None:
    whole = streamed(folders[1])
    told = damage(out, 17)
    (gone,) = (
        shard for shard in read_index((out / INDEX).read_bytes(), "index").shards if "train-000004" in shard.name
    )
    (out / gone.name).unlink()
    with caplog.at_level(logging.WARNING):
        table = streamed(out, on_error="skip")
    first, second, total = caplog.messages
    assert told.replace(": ", ": 1 of its 10 images are missing or damaged and left out, the first ") in first + second
    assert f"{gone.name}: 10 of its 10 images are missing" in first + second
    assert total.endswith(": 11 of 150 images left out")
    left = [row for row in range(len(whole)) if row != 17 and row not in gone.row]
    assert len(table) == len(left)
    every, expected = table.take(range(len(left))), whole.take(left)
    assert torch.equal(every.image, expected.image)
    assert torch.equal(every.label, expected.label)
    epoch = torch.cat([images.index for images in TrainLoader(table, 1, len(left), 2, workers=2)])
    assert sorted(epoch.tolist()) == list(range(len(left)))
    again = streamed(out, on_error="skip")  # the answer is kept
    assert torch.equal(again.shuffled(torch.Generator()), table.shuffled(torch.Generator()))


def test_what_is_found_on_opening_is_found_once(out: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    from genbench.data import shard_check

    damage(out, 17)
    streamed(out, on_error="skip")
    with monkeypatch.context() as patch:
        patch.setattr(shard_check, "_damaged", None)
        assert len(streamed(out, on_error="skip")) == len(streamed(out)) - 1
    damage(out, 17)  # twice flipped is as it was
    caplog.clear()
    assert len(streamed(out, on_error="skip")) == len(streamed(out))
    assert not caplog.messages


@pytest.mark.parametrize("content", [None, b"{}", b""])
def test_a_missing_or_damaged_index_is_named(out: Path, content: bytes | None) -> None:
    (out / INDEX).unlink()
    if content is not None:
        (out / INDEX).write_bytes(content)
    with pytest.raises(DataError, match=r"index\.jsonl (cannot be read .*data pack|is no index .*genbench data index)"):
        WebDataset(str(out), **FIT)


def test_images_of_different_sizes_name_both_and_the_fix(folders) -> None:
    with pytest.raises(DataError, match=r"train-\d+\.tar: .* is .* but .*train-\d+\.tar: .* data\.resize=bicubic"):
        WebDataset(str(folders[1])).table("train")


@pytest.fixture
def url(folders):
    """The shards behind a web server of this process, and what was asked of it."""
    asked = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            asked.append(self.path)

    handler = partial(Quiet, directory=str(folders[1]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset fetches with curl")
def test_shards_of_a_url_are_fetched_once_by_all_workers(folders, url, tmp_path: Path) -> None:
    root, asked = url
    local, remote = streamed(folders[1]), streamed(root + "/")
    for one, other in zip(*(TrainLoader(t, 9, 270, 1, workers=w) for t, w in ((local, 0), (remote, 2))), strict=True):
        assert same(one, other)
    shards = [path for path in asked if path.startswith("/train")]
    assert len(shards) == len(set(shards)) == len(list(folders[1].glob("train-*.tar")))
    kept = sorted((tmp_path / "cache" / "shards").glob("*.tar"))
    assert len(kept) == len(shards) + 1  # and the first of the test split
    assert remote.fingerprint() == local.fingerprint()


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset fetches with curl")
def test_the_disk_holds_no_more_fetched_shards_than_allowed(folders, url, tmp_path: Path) -> None:
    local, remote = streamed(folders[1]), streamed(url[0], cache_limit=100_000)
    order = torch.randperm(len(local), generator=torch.Generator().manual_seed(0))
    assert same(remote.take(order), local.take(order))
    kept = [path.stat().st_size for path in (tmp_path / "cache" / "shards").glob("*.tar")]
    assert 0 < sum(kept) <= 100_000 + max(kept)


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset fetches with curl")
def test_a_url_that_gives_something_else_is_named(folders, url, out: Path) -> None:
    root, _ = url
    with pytest.raises(DataError, match=r"/nowhere/index\.jsonl cannot be fetched: look whether data\.root"):
        streamed(f"{root}/nowhere")
    with pytest.raises(ConfigError, match=r"data\.on_error=skip checks shards on disk"):
        streamed(root, on_error="skip")
    damage(folders[1], 0)
    try:
        with pytest.raises(DataError, match=r"train-\d+\.tar is not the shard that was indexed"):
            streamed(root)
    finally:
        damage(folders[1], 0)


@pytest.mark.parametrize("root", ["pipe:cat somewhere", "pipe://cat", "magic://x"])
def test_no_command_is_run(root: str) -> None:
    with pytest.raises(ConfigError, match=r"is not read; give a folder or one of .*https"):
        WebDataset(root)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(ConfigError, match=r"need webdataset: pip install 'genbench\[large\]'"):
        pack(fill(tmp_path / "source", 1), tmp_path / "out", SMALL)
