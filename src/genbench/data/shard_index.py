"""The index of a folder of shards: where each image lies, what its bytes are, and what is said of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genbench.core import DataError
from genbench.core.files import write_atomically
from genbench.data.dataset import Split

INDEX = "index.jsonl"
_VERSION = 1


@dataclass(frozen=True)
class Shard:
    """A tar file of images: the k-th is `size[k]` bytes from `offset[k]` on, whose CRC-32 is `crc32[k]`.

    `row` is its place in the split, and `file` what errors call it; `label` and `caption` are None for data without.
    `images`, `nbytes` and `sha256` are of the whole shard.
    """

    split: Split
    name: str
    images: int
    nbytes: int
    sha256: str
    row: list[int]
    file: list[str]
    offset: list[int]
    size: list[int]
    crc32: list[int]
    label: list[int] | None
    caption: list[str] | None

    def __post_init__(self) -> None:
        columns: list[list[Any]] = [self.row, self.file, self.offset, self.size, self.crc32]
        columns += [column for column in (self.label, self.caption) if column is not None]
        if self.split not in ("train", "test") or any(len(column) != self.images for column in columns):
            raise ValueError(f"the shard {self.name} is said to have {self.images} {self.split} images")
        if Path(self.name).name != self.name:
            raise ValueError(f"the shard {self.name!r} lies elsewhere")


@dataclass(frozen=True)
class Index:
    """Every shard, in order; `classes` names the labels (empty without), and `left_out` files that could not be read.

    `source` says, as a sha256, which images were packed and how, so that a repeated command finds them done; it is
    None for shards that were written elsewhere.
    """

    shards: list[Shard]
    classes: list[str]
    left_out: list[str]
    source: str | None = None

    def of(self, split: Split) -> list[Shard]:
        """The shards of one split."""
        return [shard for shard in self.shards if shard.split == split]

    @property
    def sha256(self) -> str:
        """Of every shard's bytes and of which images they are: the identity of all that is stored."""
        digest = hashlib.sha256(json.dumps([_VERSION, self.classes]).encode())
        for shard in self.shards:
            digest.update(f"{shard.split} {shard.sha256}".encode())
            digest.update(np.array([shard.row, shard.offset]).tobytes())
        return digest.hexdigest()


def write_index(folder: Path, index: Index) -> None:
    """Writes `index.jsonl`: a line of the sha256 of what follows, a line about the whole, and a line per shard."""
    head = {"version": _VERSION, "classes": index.classes, "left_out": index.left_out, "source": index.source}
    body = b"".join([json.dumps(head).encode() + b"\n", *map(_line, index.shards)])
    digest = hashlib.sha256(body).hexdigest()
    write_atomically(folder / INDEX, json.dumps({"sha256": digest}).encode() + b"\n" + body)


def read_index(content: bytes, place: str) -> Index:
    """An index from its bytes; `place` is what errors call it.

    Raises:
        DataError: damaged, or no index of shards.
    """
    first, _, body = content.partition(b"\n")
    try:
        expected = json.loads(first)["sha256"]
        if hashlib.sha256(body).hexdigest() != expected:
            raise ValueError("its checksum differs, so that it was damaged or edited")
        head, *lines = body.splitlines()
        about = json.loads(head)
        if about.pop("version") != _VERSION:
            raise ValueError("it was written by another version")
        return Index([read_shard(line) for line in lines], **about)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{place} is no index of shards ({type(error).__name__}: {error}); restore it, or repeat the `genbench "
            "data pack` that wrote it; of shards that others packed, remove it and write another with `genbench data "
            "index root=DIR`"
        ) from error


def write_shard(path: Path, shard: Shard) -> None:
    """Keeps what is known of a finished shard until the index is written."""
    write_atomically(path, _line(shard))


def read_shard(line: bytes) -> Shard:
    """A shard from its line.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    said: dict[str, Any] = json.loads(line)
    return Shard(**said)


def agreeing(shards: Sequence[Shard]) -> None:
    """Refuses shards of which some have labels, or captions, and others none.

    Raises:
        DataError: naming the first that differs.
    """
    shards = [shard for shard in shards if shard.images]
    for column in ("label", "caption"):
        there = [getattr(shard, column) is not None for shard in shards]
        if any(there) and not all(there):
            raise DataError(
                f"{shards[there.index(True)].name} has {column}s and {shards[there.index(False)].name} has none; "
                "give every image one, or none"
            )


def _line(shard: Shard) -> bytes:
    return json.dumps(asdict(shard)).encode() + b"\n"
