"""Finding what is missing or damaged among the shards on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from genbench.core import DataError
from genbench.core.files import write_json
from genbench.data.cache import cache
from genbench.data.shard_files import ShardFiles
from genbench.data.shard_index import Index, Shard

log = logging.getLogger(__name__)


def require_there(files: ShardFiles, index: Index) -> None:
    """Refuses a set of which a shard is missing or has another size; nothing is read.

    Raises:
        DataError: naming the first such shard.
    """
    for shard in index.shards:
        path = Path(files.root) / shard.name
        size = path.stat().st_size if path.is_file() else None
        if size != shard.nbytes:
            found = "is missing" if size is None else f"has {size} bytes and should have {shard.nbytes}"
            raise DataError(f"{path} {found}: restore it, or leave out what cannot be read with data.on_error=skip")


def left_out(files: ShardFiles, index: Index) -> dict[str, list[int]]:
    """By shard, which of its images differ from what was indexed; every byte is read once, and the answer kept.

    What is found is told in a warning.
    """
    stats = [_stat(Path(files.root) / shard.name) for shard in index.shards]
    key = hashlib.sha256(json.dumps([str(Path(files.root).absolute()), index.sha256, stats]).encode()).hexdigest()
    kept = cache("checked") / f"{key}.json"
    with FileLock(kept.with_suffix(".lock")):  # another process that asks waits for the answer of the first
        if kept.is_file():
            found: dict[str, list[int]] = json.loads(kept.read_text())
        else:
            bar = tqdm(index.shards, unit="shard", desc="checking", leave=False)
            found, certain = {}, True
            for shard in bar:
                bad, for_good = _damaged(files, shard)
                found |= {shard.name: bad} if bad else {}
                certain &= for_good
            if certain:
                write_json(kept, found)
    images = {shard.name: shard for shard in index.shards}
    for name, bad in found.items():
        first = images[name].file[bad[0]]
        log.warning(
            "%s/%s: %d of its %d images are missing or damaged and left out, the first %s",
            *(files.root, name, len(bad), images[name].images, first),
        )
    if found:
        every = sum(shard.images for shard in index.shards)
        log.warning("%s: %d of %d images left out", files.root, sum(map(len, found.values())), every)
    return found


def _stat(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None


def _damaged(files: ShardFiles, shard: Shard) -> tuple[list[int], bool]:
    """Which images of a shard are not as they were indexed; and whether that is for good, and no trouble of reading."""
    path = Path(files.root) / shard.name
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256:
                return [], True
            bad = []
            for k, (offset, size, crc32) in enumerate(zip(shard.offset, shard.size, shard.crc32, strict=True)):
                file.seek(offset)
                if zlib.crc32(file.read(size)) != crc32:
                    bad.append(k)
            return bad, True
    except OSError as error:
        return list(range(shard.images)), isinstance(error, FileNotFoundError)
