"""Rows of Parquet files that are read where they lie: footers at first, row groups when they are needed."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

import torch
from tqdm import tqdm

from genbench.core import DataError
from genbench.core.errors import first_line
from genbench.data.cache import cache, kept
from genbench.data.series import tell_missing

_FOOTER = 2**16
"""How many bytes of a file's end are read at first; longer footers take a second read."""
_REQUESTS = 16
"""How many files are read at a time on opening."""


class ParquetRows:
    """What `Rows` reads of a `datasets.Dataset`, from Parquet files on disk or at any URL that fsspec opens.

    `rows[i]` has the cell of `image`, `rows["label"]` is a whole column. Opening reads footers, reading a column
    nothing else, and both are kept in the cache for as long as `stamps`, one for each file, stay the same. Row groups
    are fetched whole, and `cache_limit` bytes of them kept on disk for all processes; each maps `at_once` of them.
    `features` are the library's, or None to take those that the first file says.

    Raises:
        DataError: a file that cannot be read, or lacks a column.
    """

    def __init__(
        self, files: Sequence[str], stamps: Sequence[object], features: Any, image: str, at_once: int, cache_limit: int
    ) -> None:
        self.files, self.image, self.at_once, self.cache_limit = list(files), image, at_once, cache_limit
        tell_missing(self.files)
        self._identity = list(zip(files, stamps, strict=True))
        index = kept(cache("parquet"), _key(self._identity), self._index)
        self._sizes: list[int] = index["size"].to_pylist()
        self._footers: list[bytes] = index["footer"].to_pylist()
        self._groups: list[tuple[int, int]] = []  # the file, and which of its row groups
        counts: list[int] = []
        for number, (file, footer) in enumerate(zip(self.files, self._footers, strict=True)):
            with _named(file):
                metadata = _metadata(footer)
                schema = metadata.schema.to_arrow_schema()
            if features is None:
                features = _library().Features.from_arrow_schema(schema)
            if missing := [name for name in features if name not in schema.names]:
                raise DataError(
                    f"{file} has no column {missing[0]!r}, only {', '.join(schema.names)}: give it the columns of the "
                    "other files, or take it out"
                )
            self._groups += [(number, group) for group in range(metadata.num_row_groups)]
            counts += [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self.features = {name: _image_of(kind) if name == image else kind for name, kind in features.items()}
        self._cell = _library().Features({name: kind for name, kind in self.features.items() if name == image})
        self.group = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.int64))
        """The row group of every row, int64 [len(self)]."""
        self._first: list[int] = [0, *torch.tensor(counts, dtype=torch.int64).cumsum(0).tolist()]
        self._mapped: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": {}}

    def __len__(self) -> int:
        return self._first[-1]

    @property
    def column_names(self) -> list[str]:
        return list(self.features)

    @property
    def groups(self) -> int:
        """How many row groups there are."""
        return len(self._groups)

    @property
    def _fingerprint(self) -> str:
        """Of the footers, which say of every part of a column where it lies and how long it is, the sizes of the files,
        and the features, which say what numbers of classes mean."""
        digest = hashlib.sha256(json.dumps([self._sizes, repr(self.features)]).encode())
        for footer in self._footers:
            digest.update(hashlib.sha256(footer).digest())
        return digest.hexdigest()

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return [value for part in self._each(partial(self._column, key), f"reading {key}s") for value in part]
        group = bisect_right(self._first, key) - 1
        row = key - self._first[group]
        return self._cell.decode_example({self.image: self._table(group)[self.image][row].as_py()})

    def _table(self, group: int) -> Any:
        """The images of a row group."""
        table = self._mapped.pop(group, None)
        if table is None:
            number, inside = self._groups[group]
            name = _key([self._identity[number], inside, repr(self._cell)])
            table = kept(cache("row_groups"), name, lambda: self._fetched(group), self.cache_limit)
            for oldest in list(reversed(self._mapped))[self.at_once - 1 :]:
                self._mapped.pop(oldest, None)
        self._mapped[group] = table
        return table

    def _fetched(self, group: int) -> Any:
        number, inside = self._groups[group]
        with self._opened(number, f", row group {inside}") as file:
            return self._cast(file.read_row_group(inside, [self.image], use_threads=False))

    def _column(self, name: str, number: int) -> list[Any]:
        """A column of one file; each is kept by itself, so that what failed goes on where it was."""

        def read() -> Any:
            with self._opened(number, f", column {name!r}") as file:
                return self._cast(file.read([name], use_threads=False))

        key = _key([self._identity[number], name, repr(self.features[name])])
        column: list[Any] = kept(cache("parquet"), key, read)[name].to_pylist()
        return column

    def _index(self) -> Any:
        import pyarrow as arrow

        sizes, footers = zip(*self._each(self._footer, "reading footers"), strict=True)
        return arrow.table({"size": arrow.array(sizes, arrow.int64()), "footer": arrow.array(footers, arrow.binary())})

    def _footer(self, number: int) -> tuple[int, bytes]:
        """The size of a file, and its end: the footer, four bytes of its length, and the letters PAR1."""
        with _named(self.files[number]), _open(self.files[number]) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _FOOTER))
            tail = file.read(min(size, _FOOTER))
            length = int.from_bytes(tail[-8:-4], "little") + 8
            if tail[-4:] != b"PAR1" or length > size:
                raise ValueError("it does not end as a Parquet file does")
            if length > len(tail):
                file.seek(size - length)
                tail = file.read(length)
            return size, tail[-length:]

    def _each(self, read: Callable[[int], Any], what: str) -> list[Any]:
        """What `read` says of every file, by number."""
        with ThreadPoolExecutor(_REQUESTS) as pool:
            said = pool.map(read, range(len(self.files)))
            return list(tqdm(said, total=len(self.files), unit="file", desc=what, leave=False))

    @contextmanager
    def _opened(self, number: int, part: str) -> Iterator[Any]:
        """A file as pyarrow reads it; errors call what is read of it `part`."""
        from pyarrow.parquet import ParquetFile

        with _named(self.files[number] + part), _open(self.files[number]) as file:
            if (size := file.seek(0, 2)) != self._sizes[number]:
                raise ValueError(f"it has {size} bytes and had {self._sizes[number]}")
            yield ParquetFile(file, metadata=_metadata(self._footers[number]), page_checksum_verification=True)

    def _cast(self, table: Any) -> Any:
        """A column as the features say, which may be more than the file does."""
        features = _library().Features({name: self.features[name] for name in table.column_names})
        return _library().table.table_cast(table, features.arrow_schema)


def stores_images(feature: Any) -> bool:
    """Whether a column that is not said to hold images holds files of them: their bytes, or these beside a path."""
    return (isinstance(feature, dict) and "bytes" in feature) or getattr(feature, "dtype", None) == "binary"


def _image_of(feature: Any) -> Any:
    return _library().Image() if stores_images(feature) else feature


def _library() -> Any:
    import datasets

    return datasets


def _key(said: object) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _metadata(footer: bytes) -> Any:
    import pyarrow as arrow
    from pyarrow.parquet import read_metadata

    return read_metadata(arrow.BufferReader(b"PAR1" + footer))


def _open(path: str) -> BinaryIO:
    """A file of which only what is asked for is read; its file system is asked for anew, as none outlives a fork."""
    from fsspec.core import url_to_fs

    filesystem, inside = url_to_fs(path)
    file: BinaryIO = filesystem.open(inside, "rb", cache_type="none")
    return file


@contextmanager
def _named(place: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of a file system: each raises what its own library does
        raise DataError(
            f"{place} cannot be read ({first_line(error)}); restore the file, or try again if the network failed"
        ) from error
