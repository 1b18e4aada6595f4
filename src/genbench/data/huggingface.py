"""Datasets of Hugging Face's `datasets` library, on disk, downloaded if that is allowed, or read where they lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
from torch import Tensor

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.data.dataset import ImageDataset, Split
from genbench.data.hub import stored, streamed
from genbench.data.image_files import Crop, FittingDecoder, Resize
from genbench.data.images import Images, ImageTable, ReadTable, ResidentTable
from genbench.data.order import mixed
from genbench.data.parquet import ParquetRows, stores_images
from genbench.data.split import in_test


class HuggingFace(ImageDataset):
    """The images of `image_column`, with labels of `label_column` and captions of `caption_column` if they are named.

    `path` is a folder that `save_to_disk` wrote, or the name of a dataset in the library's cache, which `download`
    allows to fill; code that comes with a dataset is never run. With `streaming` it is a folder of Parquet files, or
    the name of a dataset on the Hub that is kept as such, whose row groups are read where they lie: each epoch in
    another order, `shuffle_groups` of them at a time, and their images mixed. At most `cache_limit` bytes of them are
    kept on disk. Without a `test_split` about `test_fraction` of the rows of `train_split` are set aside by their
    number. `FittingDecoder` says what `size`, `resize`, `crop` and `channels` do.

    Raises:
        ConfigError: the library or the dataset is not here, or is to be both downloaded and read where it lies.
        DataError: a split or column it does not have, or images, labels or captions that cannot be used.
    """

    def __init__(
        self,
        path: str,
        config: str | None = None,
        revision: str | None = None,
        image_column: str = "image",
        label_column: str | None = None,
        caption_column: str | None = None,
        train_split: str = "train",
        test_split: str | None = "test",
        test_fraction: float = 0.1,
        download: bool = False,
        streaming: bool = False,
        shuffle_groups: int = 16,
        name: str = "huggingface",
        spec: ImageSpec | None = None,
        size: int | None = None,
        resize: Resize = "none",
        crop: Crop = "none",
        channels: Literal[1, 3] = 3,
        flip: bool = False,
        resident_limit: int = 2**30,
        cache_limit: int = 2**35,
    ) -> None:
        if streaming and download:
            raise ConfigError(
                "data.streaming=true reads the set where it lies, data.download=true fetches it before: choose one"
            )
        if shuffle_groups < 1:
            raise ConfigError(f"data.shuffle_groups is {shuffle_groups}; expected at least 1, such as 16")
        splits = streamed(path, config, revision) if streaming else stored(path, config, revision, download)
        columns = {"image": image_column, "label": label_column, "caption": caption_column}
        decoder = FittingDecoder(channels, size, resize, crop)

        def rows(split: str) -> Rows:
            if split not in splits:
                raise DataError(
                    f"{path} has no split {split!r}, only {', '.join(splits)}: choose with data.train_split and "
                    "data.test_split (null sets rows of the other aside)"
                )
            source: Any = splits[split](image_column, shuffle_groups, cache_limit) if streaming else splits[split]
            if not streaming and stores_images(source.features.get(image_column)):
                import datasets

                source = source.cast_column(image_column, datasets.Image())
            return Rows(source, f"{path}, split {split}", columns, decoder)

        train = rows(train_split)
        if test_split is None:
            self._rows = train.halves(test_fraction)
        else:
            self._rows = {"train": train, "test": rows(test_split)}
        levels = 256 if spec is None else spec.levels
        _, height, width = train.shape
        found = ImageSpec(channels, height, width, train.classes, levels, captions=caption_column is not None)
        super().__init__(name, found, spec, flip)
        self._limit = resident_limit
        self._tables: dict[Split, ImageTable] = {}

    def table(self, split: Split) -> ImageTable:
        if split not in self._tables:
            rows = self._rows[split]
            self._tables[split] = rows.resident() if rows.nbytes <= self._limit else rows
        return self._tables[split]


class Rows(ReadTable):
    """Rows of a `datasets.Dataset`, or of Parquet files as it has them, decoded whenever they are taken.

    The fingerprint covers the source's own, the columns, the decoder and which rows they are.

    Raises:
        DataError: no rows, a column that is not there, or labels or captions that are none.
    """

    def __init__(
        self, source: Any, place: str, columns: dict[str, str | None], decoder: FittingDecoder,
        chosen: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        self.source, self.place, self.columns, self.decoder = source, place, columns, decoder
        self.chosen = range(len(source)) if chosen is None else chosen
        for column in columns.values():
            if column is not None and column not in source.column_names:
                raise DataError(
                    f"{place} has no column {column!r}, only {', '.join(source.column_names)}: name them with "
                    "data.image_column, data.label_column and data.caption_column"
                )
        if not self.chosen:
            raise DataError(f"{place} has no rows: choose another split with data.train_split and data.test_split")
        self._label, self._caption = self._labels(), self._captions()
        self.shape = self._read(0).shape

    @property
    def classes(self) -> int:
        """How many classes the label's feature names, or the labels count; 0 without labels."""
        if self._label is None:
            return 0
        feature = self.source.features[self.columns["label"]]
        return int(getattr(feature, "num_classes", 0) or self._label.max() + 1)

    def __len__(self) -> int:
        return len(self.chosen)

    def shuffled(self, generator: torch.Generator) -> Tensor:
        """Of Parquet files some row groups at a time, in a random order, and the rows of these mixed."""
        if not isinstance(self.source, ParquetRows):
            return super().shuffled(generator)
        group = self.source.group[torch.tensor(self.chosen)]
        return mixed(group, self.source.groups, self.source.at_once, generator)

    def take(self, indices: Sequence[int] | Tensor) -> Images:
        """Of Parquet files what lies in one row group at a time, so that none is needed twice."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        if not isinstance(self.source, ParquetRows):
            return super().take(rows)
        # groups as they come, since those of a batch that come last are needed by the next one
        group = self.source.group[[self.chosen[row] for row in rows.tolist()]].tolist()
        first = {each: place for place, each in reversed(list(enumerate(group)))}
        order = torch.tensor([first[each] for each in group]).argsort(stable=True)
        found, back = super().take(rows[order]), order.argsort()
        label = None if found.label is None else found.label[back]
        caption = None if found.caption is None else [found.caption[i] for i in back.tolist()]
        return Images(found.image[back], label, caption, rows)

    def resident(self) -> ResidentTable:
        """The same images, all read into memory."""
        return self.filled(map(self._read, range(len(self))))

    def halves(self, fraction: float) -> dict[Split, Rows]:
        """These rows without about `fraction` of them, and those."""
        test = {row for row in self.chosen if in_test(str(row).encode(), fraction)}
        if not 0 < len(test) < len(self):
            raise DataError(
                f"{self.place}: setting aside data.test_fraction={fraction} of {len(self)} rows leaves {len(test)} "
                "for testing; name a split with data.test_split"
            )
        kept = [row for row in self.chosen if row not in test]
        parts: dict[Split, Sequence[int]] = {"train": kept, "test": sorted(test)}
        return {split: Rows(self.source, self.place, self.columns, self.decoder, part) for split, part in parts.items()}

    def fingerprint(self) -> str:
        said = [self.source._fingerprint, self.columns, asdict(self.decoder), list(self.chosen)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def _read(self, row: int) -> Tensor:
        there = self.chosen[row]
        place, column = f"{self.place}, row {there}", self.columns["image"]
        try:
            image = self.source[there][column]
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f"{place} cannot be read as an image ({error}); mend it or take it out") from error
        if not hasattr(image, "mode"):
            raise DataError(
                f"{place}: column {column!r} holds {type(image).__name__}, no image: name another with "
                "data.image_column, or take the row out"
            )
        pixels = self.decoder.fitted(image, place)
        if hasattr(self, "shape") and pixels.shape != self.shape:
            raise DataError(
                f"{place} is {pixels.shape[1]}x{pixels.shape[2]}, but the first row is {self.shape[1]}x{self.shape[2]}"
                "; bring them to one size with data.size=32 data.resize=bicubic"
            )
        return pixels

    def _labels(self) -> Tensor | None:
        values = self._column("label", lambda value: type(value) is int and value >= 0, "a class, 0 or more")
        return None if values is None else torch.tensor(values)

    def _captions(self) -> list[str] | None:
        return self._column("caption", lambda value: isinstance(value, str), "text")

    def _column(self, which: str, fits: Callable[[Any], bool], expected: str) -> list[Any] | None:
        """The values of a column that may not be named, once all are seen to be as expected."""
        name = self.columns[which]
        if name is None:
            return None
        every = self.source[name][:]
        values = [every[row] for row in self.chosen]
        wrong = next((n for n, value in enumerate(values) if not fits(value)), None)
        if wrong is not None:
            raise DataError(
                f"{self.place}, row {self.chosen[wrong]}: {name} is {str(values[wrong])[:40]!r}; expected {expected}: "
                f"name another column with data.{which}_column, or mend the row"
            )
        return values
