"""Images in shards of the webdataset layout: sets that neither memory nor a file system of small files can hold."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.data.dataset import ImageDataset, Split
from genbench.data.image_files import Crop, FittingDecoder, Resize, check_alike
from genbench.data.images import ImageTable, ReadTable, ResidentTable
from genbench.data.order import mixed
from genbench.data.shard_check import left_out, require_there
from genbench.data.shard_files import ShardFiles
from genbench.data.shard_index import Shard
from genbench.data.shards import OnError


class WebDataset(ImageDataset):
    """The shards below `root`, a folder or URL, with the index that `genbench data pack` or `data index` wrote there.

    Each epoch takes the shards in another order, `shuffle_shards` of them at a time, and their images mixed. An image
    or shard that differs from what was indexed ends the training or, with `on_error="skip"`, is found on opening, told,
    and left out as if it never had been there. Shards of a URL are kept on disk, at most `cache_limit` bytes of them.
    The other arguments are those of `ImageFolder`.

    Raises:
        ConfigError: webdataset is not installed, or a URL that cannot be opened, or checked on opening.
        DataError: a missing or damaged index or shard, or images unlike `spec`.
    """

    def __init__(
        self,
        root: str,
        name: str = "webdataset",
        spec: ImageSpec | None = None,
        size: int | None = None,
        resize: Resize = "none",
        crop: Crop = "none",
        channels: Literal[1, 3] = 3,
        shuffle_shards: int = 16,
        on_error: OnError = "stop",
        flip: bool = False,
        resident_limit: int = 2**30,
        cache_limit: int = 2**35,
    ) -> None:
        if shuffle_shards < 1:
            raise ConfigError(f"data.shuffle_shards is {shuffle_shards}; expected at least 1, such as 16")
        files = ShardFiles(root, cache_limit)
        if files.remote and on_error == "skip":
            raise ConfigError("data.on_error=skip checks shards on disk: fetch them first, or set data.on_error=stop")
        index = files.index()
        without: Mapping[str, Sequence[int]] = {}
        if on_error == "skip":
            without = left_out(files, index)
        elif not files.remote:
            require_there(files, index)
        decoder, levels = FittingDecoder(channels, size, resize, crop), 256 if spec is None else spec.levels
        identity = [index.sha256, asdict(decoder), without]
        train = ShardTable(files, index.of("train"), without, decoder, levels, shuffle_shards, ["train", *identity])
        test = ShardTable(files, index.of("test"), without, decoder, levels, shuffle_shards, ["test", *identity], train)
        self._shards: dict[Split, ShardTable] = {"train": train, "test": test}
        _, height, width = train.shape
        found = ImageSpec(channels, height, width, len(index.classes), levels, captions=train.caption is not None)
        super().__init__(name, found, spec, flip)
        self._limit = resident_limit
        self._tables: dict[Split, ImageTable] = {}

    def table(self, split: Split) -> ImageTable:
        if split not in self._tables:
            shards = self._shards[split]
            self._tables[split] = shards.resident() if shards.nbytes <= self._limit else shards
        return self._tables[split]


class ShardTable(ReadTable):
    """The images of some shards, read one by one whenever they are taken, but for those `without` names by shard.

    They must be alike, and like those of `model` if it is given. The fingerprint covers `identity`, to which the
    sha256 of every shard belongs.
    """

    def __init__(
        self, files: ShardFiles, shards: Sequence[Shard], without: Mapping[str, Sequence[int]],
        decoder: FittingDecoder, levels: int, shuffle_shards: int, identity: object, model: ShardTable | None = None,
    ) -> None:  # fmt: skip
        self.files, self.decoder, self.levels = files, decoder, levels
        self.shuffle_shards, self.identity = shuffle_shards, identity
        shards = [shard for shard in shards if shard.images]  # packing may have left out all of one
        self.shards = [(shard.name, shard.sha256) for shard in shards]
        kept = [np.delete(np.arange(shard.images), without.get(shard.name, [])) for shard in shards]
        if not sum(map(len, kept)):
            raise DataError(f"{files.root} has no images for one of its splits: restore its shards")

        def column(name: str) -> Any:
            return np.concatenate([np.array(getattr(s, name), np.int64)[k] for s, k in zip(shards, kept, strict=True)])

        def texts(name: str) -> list[str]:
            every = [getattr(s, name)[i] for s, k in zip(shards, kept, strict=True) for i in k.tolist()]
            return [every[i] for i in order.tolist()]

        order = column("row").argsort(kind="stable")
        first = shards[0]
        self._shard = torch.from_numpy(np.repeat(np.arange(len(shards)), [len(k) for k in kept])[order])
        self._bytes = np.stack([column(name)[order] for name in ("offset", "size", "crc32")], axis=1)
        self._file = texts("file")
        self._label = None if first.label is None else torch.from_numpy(column("label")[order])
        self._caption = None if first.caption is None else texts("caption")
        self.reference = self._place(0)
        self.shape = self._pixels(0, self.reference).shape
        if model is not None:
            self.reference, self.shape = model.reference, model.shape

    def __len__(self) -> int:
        return len(self._file)

    def shuffled(self, generator: torch.Generator) -> Tensor:
        """Shards in a random order, `shuffle_shards` at a time, and the images of these mixed."""
        return mixed(self._shard, len(self.shards), self.shuffle_shards, generator)

    def resident(self) -> ResidentTable:
        """The same images, all read into memory."""
        with ThreadPoolExecutor() as pool:
            return self.filled(pool.map(self._read, range(len(self))))

    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.identity).encode()).hexdigest()

    def _place(self, row: int) -> str:
        """What errors call an image."""
        name, _ = self.shards[int(self._shard[row])]
        return f"{self.files.root}/{name}: {self._file[row]}"

    def _read(self, row: int) -> Tensor:
        place = self._place(row)
        pixels = self._pixels(row, place)
        check_alike(pixels, place, self.shape, self.reference, self.levels)
        return pixels

    def _pixels(self, row: int, place: str) -> Tensor:
        offset, size, crc32 = self._bytes[row].tolist()
        content = self.files.read(*self.shards[int(self._shard[row])], offset, size)
        if zlib.crc32(content) != crc32:
            raise DataError(
                f"{place} is damaged (its bytes are not those that were indexed): restore the shard, or leave out what "
                "cannot be read with data.on_error=skip"
            )
        return self.decoder.decoded(content, place)
