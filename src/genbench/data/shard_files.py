"""The files of a folder of shards, on disk or fetched from a URL when they are needed."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from genbench.core import ConfigError, DataError
from genbench.data.cache import cache
from genbench.data.shard_index import INDEX, Index, read_index
from genbench.data.shards import library

_OPEN = 64
"""How many shards stay open."""


class ShardFiles:
    """Shards below `root`, read anywhere, by any number of threads and processes.

    Those of a URL are fetched whole by the webdataset library, checked, and kept on disk, the oldest removed beyond
    `cache_limit` bytes. `pipe:` is refused, because a config from elsewhere must not run commands.

    Raises:
        ConfigError: a URL that cannot be opened.
    """

    def __init__(self, root: str, cache_limit: int) -> None:
        self.remote = "://" in root or root.startswith("pipe:")
        self.root = root.rstrip("/") if self.remote else str(Path(root).expanduser())
        self.cache_limit = cache_limit
        self._files: dict[str, io.FileIO] = {}
        if self.remote:
            known = sorted(set(library().gopen_schemes) - {"pipe", "__default__"})
            if (scheme := urlsplit(root).scheme) not in known:
                raise ConfigError(f"data.root={root}: {scheme} is not read; give a folder or one of {', '.join(known)}")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}}

    def index(self) -> Index:
        """The index of all shards.

        Raises:
            DataError: there is none, or it is damaged.
        """
        place = f"{self.root}/{INDEX}"
        try:
            with library().gopen(place) if self.remote else Path(place).open("rb") as stream:
                content = stream.read()
        except OSError as error:
            if self.remote:  # what the webdataset library says is the command line it has run
                raise DataError(f"{place} cannot be fetched: look whether data.root is right and answers") from error
            raise DataError(
                f"{place} cannot be read ({error.strerror or error}); write shards, or a lost index again, with "
                "`genbench data pack source=FOLDER out=DIR`, or index what others packed with `genbench data index "
                "root=DIR`"
            ) from error
        return read_index(content, place)

    def read(self, name: str, sha256: str, offset: int, size: int) -> bytes:
        """Bytes of the shard `name`, fewer where it is cut short; `sha256` is what a fetched one must have.

        Raises:
            DataError: it is missing or cannot be fetched.
        """
        file = self._files.get(name)
        if file is None:
            try:
                file = self._fetched(name, sha256) if self.remote else io.FileIO(f"{self.root}/{name}")
            except OSError as error:
                raise DataError(f"{self.root}/{name} cannot be read ({error.strerror or error}); restore it") from error
            for oldest in list(self._files)[: 1 - _OPEN]:
                self._files.pop(oldest, None)
            self._files[name] = file
        return os.pread(file.fileno(), size, offset)

    def _fetched(self, name: str, sha256: str) -> io.FileIO:
        folder = cache("shards")
        there = folder / f"{sha256}.tar"
        with suppress(FileNotFoundError):
            return io.FileIO(there)
        with FileLock(folder / f"{sha256}.lock"):  # workers that need the same one wait for the first
            kept = library().cache.FileCache(
                str(folder), url_to_name=lambda url: there.name, validator=None, cache_size=self.cache_limit
            )
            file = io.FileIO(kept.get_file(f"{self.root}/{name}"))
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return file
            there.unlink(missing_ok=True)
        raise DataError(f"{self.root}/{name} is not the shard that was indexed; restore it, or index the shards again")
