"""Parquet files read where they lie: the rows that a download would give, in an order that seed and images decide."""

import io
import os
import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from epochs import check_epochs
from hub import REPOSITORY, served
from PIL import Image

from genbench.core import ConfigError, DataError
from genbench.data.huggingface import HuggingFace, Rows
from genbench.data.images import Images, ResidentTable
from genbench.data.loader import TrainLoader
from genbench.data.parquet import ParquetRows

library = pytest.importorskip("datasets")
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

COLUMNS = {"label_column": "kind", "caption_column": "text"}
FILES = {"train": (25, 24, 28), "test": (9,)}
GROUP = 7
"""How many rows a row group has, but for the last of a file."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))


def rows(n: int, first: int, side: int = 6) -> "library.Dataset":
    rng = np.random.default_rng(first)
    images = [Image.fromarray(rng.integers(0, 256, (side, 5, 3), dtype=np.uint8)) for _ in range(n)]
    features = library.Features(
        {
            "text": library.Value("string"),
            "image": library.Image(),
            "kind": library.ClassLabel(names=["cat", "dog", "owl"]),
        }
    )
    numbers = range(first, first + n)
    return library.Dataset.from_dict(
        {"text": [f"number {i}" for i in numbers], "image": images, "kind": [i % 2 for i in numbers]}, features
    )


def write(folder: Path, side: int = 6) -> Path:
    """Parquet files as they lie on the Hub."""
    (folder / "data").mkdir(parents=True)
    for split, sizes in FILES.items():
        for number, n in enumerate(sizes):
            name = f"{split}-{number:05}-of-{len(sizes):05}.parquet"
            rows(n, 100 * number, side).to_parquet(folder / "data" / name, batch_size=GROUP)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that no test changes."""
    return write(tmp_path_factory.mktemp("written") / "files")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def downloaded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows, as the library keeps them."""
    saved = tmp_path_factory.mktemp("saved")
    splits = {
        split: library.concatenate_datasets([rows(n, 100 * number) for number, n in enumerate(sizes)])
        for split, sizes in FILES.items()
    }
    library.DatasetDict(splits).save_to_disk(saved)
    return saved


def dataset(folder: Path | str, **change: object) -> HuggingFace:
    settings = {**COLUMNS, "streaming": True, "resident_limit": 0, "shuffle_groups": 3, **change}
    return HuggingFace(str(folder), **settings)


def streamed(folder: Path | str, **change: object) -> Rows:
    table = dataset(folder, **change).table("train")
    assert isinstance(table, Rows)
    assert isinstance(table.source, ParquetRows)
    return table


def same(one: Images, other: Images) -> bool:
    return (
        torch.equal(one.image, other.image)
        and torch.equal(one.label, other.label)
        and torch.equal(one.index, other.index)
        and one.caption == other.caption
    )


@pytest.mark.parametrize("change", [{}, {"test_split": None, "test_fraction": 0.3}, {"resident_limit": 2**20}])
def test_it_is_what_a_download_would_give(folder: Path, downloaded: Path, change: dict) -> None:
    here, there = dataset(folder, **change), HuggingFace(str(downloaded), **COLUMNS, **change)
    assert here.spec == there.spec
    assert here.spec.num_classes == 3
    for split in ("train", "test"):
        one, other = here.table(split), there.table(split)
        assert same(one.take(range(len(one))), other.take(range(len(other))))
    assert isinstance(here.table("train"), ResidentTable) == ("resident_limit" in change)


@pytest.mark.parametrize(("world", "workers"), [(1, 2), (2, 0), (3, 2)])
def test_every_image_once_an_epoch_over_any_ranks_and_workers(folder: Path, world: int, workers: int) -> None:
    check_epochs(streamed(folder), world, workers)


@pytest.mark.parametrize(("seen", "workers"), [(1, 0), (40, 0), (137, 2)])
def test_from_any_image_on_it_goes_on_as_uninterrupted(folder: Path, seen: int, workers: int) -> None:
    whole = list(TrainLoader(streamed(folder), 1, 200, 3))
    rest = list(TrainLoader(streamed(folder), 10, 200, 3, seen=lambda: seen, workers=workers))
    for part in ("index", "image", "label"):
        expected = torch.cat([getattr(batch, part) for batch in whole[seen:]])
        assert torch.equal(torch.cat([getattr(batch, part) for batch in rest]), expected)


def test_a_few_row_groups_at_a_time_are_open(folder: Path) -> None:
    table = streamed(folder, test_split=None, test_fraction=0.2)
    order = table.shuffled(torch.Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(len(table)))
    groups = table.source.group[torch.tensor(table.chosen)][order].tolist()
    spans = [(groups.index(each), len(groups) - groups[::-1].index(each)) for each in sorted(set(groups))]
    assert len(spans) == table.source.groups == 12
    assert max(sum(start <= position < end for start, end in spans) for position in range(len(groups))) == 3
    assert sum(end - start for start, end in spans) > 2 * len(groups), "they are mixed"


@pytest.mark.parametrize(("limit", "least", "most"), [(2**30, 12, 12), (0, 30, 36)])
def test_a_row_group_is_fetched_once_an_epoch_or_once_if_the_disk_may_keep_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit: int, least: int, most: int
) -> None:
    table, counted = streamed(folder, cache_limit=limit), Counter()
    fetch = ParquetRows._fetched
    monkeypatch.setattr(ParquetRows, "_fetched", lambda self, group: counted.update([group]) or fetch(self, group))
    shutil.rmtree(os.environ["GENBENCH_CACHE"] + "/row_groups")
    table.source._mapped.clear()  # opening read the first row
    list(TrainLoader(table, 11, 3 * len(table), 0))
    assert least <= counted.total() <= most  # three may still be open from the epoch before
    assert set(counted) == set(range(12))


def test_images_taken_at_random_take_each_row_group_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, counted = streamed(folder, cache_limit=0, shuffle_groups=1), Counter()
    fetch = ParquetRows._fetched
    monkeypatch.setattr(ParquetRows, "_fetched", lambda self, group: counted.update([group]) or fetch(self, group))
    table.source._mapped.clear()
    order = torch.randperm(len(table), generator=torch.Generator().manual_seed(0))
    taken = table.take(order)
    assert torch.equal(taken.index, order)
    assert counted == dict.fromkeys(range(12), 1)
    monkeypatch.undo()
    whole = streamed(folder).take(range(77))
    assert torch.equal(taken.image, whole.image[order])
    assert torch.equal(taken.label, whole.label[order])
    assert taken.caption == [whole.caption[row] for row in order.tolist()]


def test_the_disk_holds_no_more_row_groups_than_allowed(folder: Path, tmp_path: Path) -> None:
    groups = tmp_path / "cache" / "row_groups"
    groups.mkdir(parents=True)
    killed, written = groups / ".a.arrow.0.partial", groups / ".b.arrow.0.partial"
    killed.touch()
    written.touch()
    os.utime(killed, (0, 0))
    list(TrainLoader(streamed(folder, cache_limit=5000), 7, 70, 0, workers=2))
    kept = [path.stat().st_size for path in groups.glob("*.arrow")]
    assert 0 < sum(kept) <= 5000 + max(kept)
    assert written.exists()
    assert not killed.exists(), "half a file of a process that is no more"


def test_what_was_kept_and_is_damaged_is_fetched_again(folder: Path, tmp_path: Path) -> None:
    before = streamed(folder).take(range(77))
    for path in (tmp_path / "cache").rglob("*.arrow"):
        path.write_bytes(b"nothing")
    assert same(streamed(folder).take(range(77)), before)


def test_a_table_crosses_to_processes_that_are_not_forked(folder: Path) -> None:
    table = streamed(folder)
    assert same(pickle.loads(pickle.dumps(table)).take([3, 70]), table.take([3, 70]))


def test_the_fingerprint_is_of_the_files_wherever_they_lie(folder: Path, copy: Path) -> None:
    first = streamed(folder).fingerprint()
    assert streamed(copy).fingerprint() == first
    assert streamed(copy, size=4, resize="bicubic").fingerprint() != first
    rows(25, 7).to_parquet(copy / "data" / "train-00000-of-00003.parquet", batch_size=GROUP)
    assert streamed(copy).fingerprint() != first


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A dataset of larger images on a Hub of this process, its folder, and what was asked for."""
    from huggingface_hub import constants

    folder = write(tmp_path / "remote", side=2000)
    with served(folder) as (address, asked):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace("https://huggingface.co", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(library.config, "HF_ENDPOINT", address)
        yield folder, asked


def test_from_the_hub_nothing_is_read_but_what_is_needed_and_all_of_it_once(remote) -> None:
    folder, asked = remote
    table, local = streamed(REPOSITORY), streamed(folder)
    files = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    assert sum(length for _, _, length in asked) < files / 3
    for one, other in zip(*(TrainLoader(t, 11, 154, 1, workers=w) for t, w in ((local, 0), (table, 2))), strict=True):
        assert same(one, other)
    groups = [each for each in asked if each[0].startswith("train") and each[2] > 2**16]  # a footer's read is that long
    assert len(groups) == len(set(groups)) == table.source.groups
    assert table.fingerprint() == local.fingerprint()
    asked.clear()
    assert streamed(REPOSITORY).take([5]).caption == ["number 5"]
    assert not asked, "footers, columns and row groups are kept"


@pytest.mark.parametrize("kind", ["bytes", "struct"])
def test_bytes_of_image_files_are_images(folder: Path, tmp_path: Path, kind: str) -> None:
    expected = streamed(folder, label_column=None, caption_column=None, test_split=None).take(range(5)).image
    cells = []
    for pixels in expected.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        cells.append(file.getvalue() if kind == "bytes" else {"bytes": file.getvalue(), "path": None})
    (tmp_path / "plain").mkdir()
    table = arrow.table({"image": cells})
    parquet.write_table(table, tmp_path / "plain" / "train.parquet")
    library.Dataset(table).save_to_disk(tmp_path / "saved")
    plain = {"label_column": None, "caption_column": None, "test_split": None, "test_fraction": 0.5}
    for path, streaming in ((tmp_path / "plain", True), (tmp_path / "saved", False)):
        found = dataset(path, **plain, streaming=streaming)
        images = [found.table(split).take(range(len(found.table(split)))) for split in ("train", "test")]
        rows = [row for split in ("train", "test") for row in found._rows[split].chosen]
        assert torch.equal(torch.cat([each.image for each in images]), expected[rows])


def test_a_file_that_is_cut_short_is_named_on_opening(copy: Path) -> None:
    path = copy / "data" / "train-00001-of-00003.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train-00001-of-00003\.parquet cannot be read \(it does not end as .*restore"):
        streamed(copy)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"train-00001-of-00003\.parquet cannot be read \(it does not end as"):
        streamed(copy)


def test_files_that_the_names_of_others_count_are_missed(folder: Path, copy: Path, caplog) -> None:
    whole = streamed(folder)
    assert not caplog.messages
    (copy / "data" / "train-00001-of-00003.parquet").unlink()
    table = streamed(copy)
    assert caplog.messages == [f"1 of the 3 files {copy}/data/train-* are missing, the first is number 1"]
    assert len(table) == 53
    assert table.fingerprint() != whole.fingerprint()


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_bytes_are_named_by_file_and_row_group(copy: Path, workers: int) -> None:
    path = copy / "data" / "train-00002-of-00003.parquet"
    parquet.write_table(parquet.read_table(path), path, row_group_size=GROUP, write_page_checksum=True)
    table, content = streamed(copy), bytearray(path.read_bytes())
    images = parquet.read_metadata(path).row_group(1).column(1)
    content[images.dictionary_page_offset + images.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"00002-of-00003\.parquet, row group 1 cannot be read \(.*restore") as error:
        list(TrainLoader(table, 7, 77, 0, workers=workers))
    assert "\n" not in str(error.value)
    path.write_bytes(content + b"more")
    with pytest.raises(DataError, match=rf"it has {len(content) + 4} bytes and had {len(content)}"):
        table.take([76])


def test_a_file_without_a_column_is_named(copy: Path) -> None:
    path = copy / "data" / "train-00001-of-00003.parquet"
    rows(9, 0).remove_columns("kind").to_parquet(path)
    with pytest.raises(DataError, match=r"train-00001.* has no column 'kind', only text, image: give it the columns"):
        streamed(copy)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_column": "picture"}, "split train has no column 'picture', only text, image, kind"),
        ({"label_column": "class"}, "split train has no column 'class', only text, image, kind"),
        ({"label_column": "text"}, "row 0: text is 'number 0'; expected a class, 0 or more"),
        ({"image_column": "text"}, "row 0: column 'text' holds str, no image"),
        ({"test_split": "validation"}, "has no split 'validation', only train, test"),
    ],
)
def test_what_does_not_fit_is_named(folder: Path, change: dict, told: str) -> None:
    with pytest.raises(DataError, match=told):
        streamed(folder, **change)


def test_what_cannot_be_read_where_it_lies_is_told(folder: Path, downloaded: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"where it lies, data\.download=true fetches it before: choose one"):
        streamed(folder, download=True)
    with pytest.raises(ConfigError, match=r"data\.shuffle_groups is 0; expected at least 1"):
        streamed(folder, shuffle_groups=0)
    with pytest.raises(ConfigError, match=r"is kept as arrow, and data\.streaming=true reads Parquet files"):
        streamed(downloaded)
    with pytest.raises(ConfigError, match=r"Parquet files with data\.streaming=true"):
        HuggingFace(str(folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty cannot be opened \(.*give the name of a dataset on the Hub") as error:
        streamed(tmp_path / "empty")
    assert "\n" not in str(error.value)
