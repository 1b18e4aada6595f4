"""Packing a folder of images into shards."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm

from genbench.core import ConfigError, DataError
from genbench.core.files import write_atomically
from genbench.data.dataset import Split
from genbench.data.image_files import stamp
from genbench.data.image_folder import Listing, list_splits
from genbench.data.shard_index import Index, Shard, write_index, write_shard
from genbench.data.shards import OnError, describe, library, read_samples, why_unreadable
from genbench.data.unfinished import UNFINISHED, alone, claim, finished, kept, note_finished, whole


@dataclass(frozen=True)
class Packing:
    """How a folder is packed: a shard ends at `shard_images` images, or before `shard_mb` million bytes of files.

    `on_error` says whether a file that cannot be read ends the packing or is left out; the other fields are arguments
    of `ImageFolder`.
    """

    shard_images: int = 10_000
    shard_mb: int = 100
    caption_column: str = "text"
    test_fraction: float = 0.1
    on_error: OnError = "stop"


def pack(source: Path, out: Path, how: Packing) -> tuple[Index, int]:
    """Packs an image folder as `ImageFolder` reads it, files as they are; the index, and how many shards were written.

    The same images give the same bytes. What is there of the same packing, whole by its checksum, is not written again:
    an interrupted packing goes on, and a finished one is verified and mended, its index too.

    Raises:
        ConfigError: `out` holds something else or lies in `source`, or another process is packing there.
        DataError: a source that cannot be used, a file that cannot be read, or a damaged index of nobody knows what.
        RunError: `out` cannot be written.
    """
    library()
    if out.absolute().is_relative_to(source.absolute()):
        raise ConfigError(f"{out} lies in {source}, which would be taken for images: choose another out")
    listings = list_splits(source, how.test_fraction, how.caption_column)
    plan = [
        (f"{split}-{number:06d}.tar", split, rows)
        for split, listing in listings.items()
        for number, rows in enumerate(_cuts(listing, how))
    ]
    made_of = {name: _identity(listings[split], rows) for name, split, rows in plan}
    settings = asdict(how)
    identity = hashlib.sha256(json.dumps([settings, made_of]).encode()).hexdigest()
    done = finished(out, settings, identity)
    work = out / UNFINISHED
    # what is left out shows in what a shard is made of
    what = [f"{key}={value}" for key, value in settings.items() if key != "on_error"]
    claim(out, work, " ".join([f"source={source.absolute()}", *what]), done)
    shards, written = [], 0
    with alone(out, work), tqdm(total=sum(map(len, (rows for *_, rows in plan))), unit="img", leave=False) as bar:
        known = {} if done is None else {shard.name: shard for shard in done.shards}
        for name, split, rows in plan:
            note = work / f"{name}.{made_of[name]}.json"
            shard = known.get(name) or kept(note)
            if shard is None or not whole(out / name, shard):
                shard = _write(out / name, split, listings[split], rows, how)
                write_shard(note, shard)
                written += 1
            shards.append(shard)
            bar.update(len(rows))
        for note in work.glob("*.json"):  # of an attempt that needed more of them
            if (name := note.name.rsplit(".", 2)[0]) not in made_of:
                (out / name).unlink(missing_ok=True)
        index = Index(shards, listings["train"].classes, _left_out(listings, shards), identity)
        note_finished(out, settings, identity)
        write_index(out, index)
    shutil.rmtree(work)
    return index, written


def _left_out(listings: dict[Split, Listing], shards: list[Shard]) -> list[str]:
    """The files that are in no shard."""
    left_out = []
    for split, listing in listings.items():
        there = {name for shard in shards if shard.split == split for name in shard.file}
        if not there:
            raise DataError(f"{listing.folder} has no {split} images that can be read: mend them")
        left_out += [str(listing.folder / name) for name in listing.files if name not in there]
    return left_out


def _write(path: Path, split: Split, listing: Listing, rows: list[int], how: Packing) -> Shard:
    """One shard, with the images that can be read."""
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda row: _content(listing.folder / listing.files[row], how.on_error), rows))
    buffer = io.BytesIO()
    good = [(row, content) for row, content in zip(rows, read, strict=True) if content is not None]
    with library().TarWriter(buffer, user="", group="", mtime=0, encoder=False) as tar:
        for row, content in good:
            sample = {"__key__": f"{row:09d}", Path(listing.files[row]).suffix[1:].lower(): content}
            if listing.classes:
                sample["cls"] = str(listing.label[row]).encode()
            if listing.caption is not None:
                sample["txt"] = listing.caption[row].encode()
            tar.write(sample)
    write_atomically(path, buffer.getvalue())
    buffer.seek(0)
    shard = describe(split, path, read_samples(buffer, str(path)))
    return replace(shard, row=[row for row, _ in good], file=[listing.files[row] for row, _ in good])


def _content(path: Path, on_error: OnError) -> bytes | None:
    """A file's bytes, None if it is to be left out."""
    try:
        content = path.read_bytes()
        wrong = why_unreadable(content)
    except OSError as error:
        content, wrong = b"", error.strerror or str(error)
    if wrong is None:
        return content
    if on_error == "stop":
        raise DataError(f"{path} cannot be read as an image ({wrong}); mend it, or leave it out with on_error=skip")
    return None


def _cuts(listing: Listing, how: Packing) -> Iterator[list[int]]:
    """The rows of each shard: dealt out at random, but always alike, so that every shard holds a bit of everything."""
    rows, total = list[int](), 0
    for row in torch.randperm(len(listing.files), generator=torch.Generator().manual_seed(0)).tolist():
        size, _ = _stamp(listing.folder / listing.files[row])
        if rows and (len(rows) == how.shard_images or total + size > how.shard_mb * 10**6):
            yield rows
            rows, total = [], 0
        rows.append(row)
        total += size
    yield rows


def _identity(listing: Listing, rows: list[int]) -> str:
    """SHA-256 of what a shard is made of: paths, sizes and times of change of files, labels and captions."""
    digest = hashlib.sha256(json.dumps(listing.classes).encode())
    for row in rows:
        label = listing.label[row] if listing.classes else None
        caption = None if listing.caption is None else listing.caption[row]
        said = [row, listing.files[row], *_stamp(listing.folder / listing.files[row]), label, caption]
        digest.update(json.dumps(said).encode())
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        return stamp(path)
    except OSError:  # such as a link to nothing: told or left out when it is read
        return 0, 0
