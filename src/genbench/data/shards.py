"""Tar files in the layout of webdataset: what belongs to one image shares a name up to its first dot."""

from __future__ import annotations

import hashlib
import io
import itertools
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from PIL import Image
from tqdm import tqdm

from genbench.core import ConfigError, DataError
from genbench.data.dataset import Split
from genbench.data.image_files import UNREADABLE
from genbench.data.image_folder import SUFFIXES
from genbench.data.series import tell_missing
from genbench.data.shard_index import INDEX, Index, Shard, agreeing, write_index

OnError = Literal["stop", "skip"]

_PADDING = 2**20
"""Writers fill up a tar's last record after its end; records have 10 KiB, or up to 1 MiB where one asks for more."""


def library() -> Any:
    """The package webdataset.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import webdataset
    except ImportError as error:
        raise ConfigError("shards need webdataset: pip install 'genbench[large]'") from error
    return webdataset


@dataclass(frozen=True)
class Sample:
    """An image file in a shard: its name, where its bytes begin, the bytes, and its label (cls) and caption (txt)."""

    file: str
    offset: int
    content: bytes
    label: int | None
    caption: str | None


def why_unreadable(content: bytes) -> str | None:
    """What is wrong with the bytes of an image file; None if it can be decoded."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except UNREADABLE as error:
        return "no image that Pillow knows" if "BytesIO" in str(error) else str(error)
    return None


def describe(split: Split, path: Path, samples: Iterable[Sample], first: int = 0) -> Shard:
    """What the index keeps of the shard at `path` that holds `samples`, images `first` and on of the split.

    Raises:
        DataError: some samples have labels, or captions, and others none.
    """
    with path.open("rb") as whole:
        sha256 = hashlib.file_digest(whole, "sha256").hexdigest()
    columns: dict[str, list[Any]] = {name: [] for name in ("file", "offset", "size", "crc32", "label", "caption")}
    for each in samples:
        row = (each.file, each.offset, len(each.content), zlib.crc32(each.content), each.label, each.caption)
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    images = len(columns["file"])
    said = {name: None if all(value is None for value in column) else column for name, column in columns.items()}
    for name, values in said.items():
        if values is not None and None in values:
            raise DataError(f"{path}: {columns['file'][values.index(None)]} has no {name}, but others do; give it one")
    files = {name: said[name] or [] for name in ("file", "offset", "size", "crc32")}
    return Shard(
        split, path.name, images, path.stat().st_size, sha256, row=list(range(first, first + images)),
        label=said["label"], caption=said["caption"], **files,
    )  # fmt: skip


def read_samples(stream: BinaryIO, place: str) -> Iterator[Sample]:
    """The samples of an uncompressed tar, in order.

    Raises:
        DataError: it cannot be read or is cut short, or a sample without exactly one image, or a label that is no
            number.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            for key, members in itertools.groupby(_files(tar, stream, place), key=lambda member: member[0]):
                yield _sample(f"{place}: {key}", tar, {suffix: info for _, suffix, info in members})
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{place} cannot be read as an uncompressed tar ({error}); restore it, or take it out"
        ) from error


def _files(tar: tarfile.TarFile, stream: BinaryIO, place: str) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    split = library().tariterators.base_plus_ext
    for info in tar:
        key, suffix = split(info.name)
        if info.isreg() and key is not None and not key.rpartition("/")[2].startswith("."):
            yield key, suffix.lower(), info
    _require_end(tar, stream, place)  # before the last sample, which may lack what was cut off


def _require_end(tar: tarfile.TarFile, stream: BinaryIO, place: str) -> None:
    """Refuses a tar that was read to where it seems to end, but is not marked so, or not near the end of its file."""
    stream.seek(tar.offset)
    marked = stream.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
    size = stream.seek(0, io.SEEK_END)
    if not marked or size - tar.offset > _PADDING:
        found = "its tar ends" if marked else "neither another file nor the end of a tar is"
        raise DataError(f"{place} is cut short ({found} at byte {tar.offset} of {size}); restore it, or take it out")


def _sample(place: str, tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> Sample:
    images = [suffix for suffix in members if f".{suffix}" in SUFFIXES]
    if len(images) != 1:
        raise DataError(f"{place} has {len(images)} images beside {', '.join(members)}; expected one, such as png")

    def content(suffix: str) -> bytes | None:
        file = tar.extractfile(members[suffix]) if suffix in members else None
        return None if file is None else file.read()

    cls, txt, image = content("cls"), content("txt"), content(images[0])
    assert image is not None
    info = members[images[0]]
    try:
        label = None if cls is None else int(cls)
        caption = None if txt is None else txt.decode()
    except ValueError as error:
        raise DataError(f"{place} has a cls or txt that is no number or no text ({error}); mend it") from error
    if label is not None and label < 0:
        raise DataError(f"{place} has the label {label}; expected 0 or more")
    return Sample(info.name, info.offset_data, image, label, caption)


def index_shards(root: Path, patterns: dict[Split, str], on_error: OnError) -> Index:
    """Reads every shard once and writes their index beside them.

    `patterns` name the files of both splits below `root`, such as `train-*.tar`. An image that cannot be decoded ends
    it or, with `on_error="skip"`, is left out.

    Raises:
        ConfigError: an index that is there already, no shards, or a shard in both splits.
        DataError: a shard or image that cannot be read, or a shard without images.
    """
    if (root / INDEX).exists():
        raise ConfigError(
            f"{root / INDEX} is there already: data=webdataset data.root={root} reads it; remove it first"
        )
    if any("/" in pattern for pattern in patterns.values()):
        raise ConfigError("train and test name files of the folder itself, such as train='train-*.tar'")
    paths = {split: sorted(root.glob(pattern)) for split, pattern in patterns.items()}
    for split, found in paths.items():
        if not found:
            raise ConfigError(
                f"no {split} shards {patterns[split]} in {root}: give {split}=PATTERN, such as '{split}-*.tar'"
            )
    both = sorted({*paths["train"]} & {*paths["test"]})
    if both:
        raise ConfigError(f"{both[0]} is named for training and for testing: name each shard once with train and test")
    shards: list[Shard] = []
    left_out: list[str] = []
    everything = [(split, path) for split, found in paths.items() for path in found]
    tell_missing([str(path) for _, path in everything])  # of both splits, which may be parts of one series
    for split, path in tqdm(everything, unit="shard", desc="indexing", leave=False):
        with path.open("rb") as stream:
            first = sum(shard.images for shard in shards if shard.split == split)
            shards.append(describe(split, path, _decodable(stream, path, on_error, left_out), first))
    agreeing(shards)
    largest = max((max(shard.label, default=-1) for shard in shards if shard.label is not None), default=-1)
    index = Index(shards, [str(label) for label in range(largest + 1)], left_out)
    write_index(root, index)
    return index


def _decodable(stream: BinaryIO, path: Path, on_error: OnError, left_out: list[str]) -> Iterator[Sample]:
    sample = None
    for sample in read_samples(stream, str(path)):
        wrong = why_unreadable(sample.content)
        if wrong is None:
            yield sample
        elif on_error == "stop":
            raise DataError(
                f"{path}: {sample.file} cannot be read as an image ({wrong}); leave it out with on_error=skip"
            )
        else:
            left_out.append(f"{path}: {sample.file}")
    if sample is None:
        raise DataError(f"{path} has no images; restore it, or take it out")
