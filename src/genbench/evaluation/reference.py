"""What samples are compared with."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genbench.core import ConfigError, DataError
from genbench.evaluation.extraction import extract
from genbench.evaluation.sources import ImageSource
from genbench.evaluation.statistics_file import Statistics, read_statistics, write_statistics
from genbench.evaluation.store import ChunkStore
from genbench.features import FeatureExtractor
from genbench.metrics import FeatureTable
from genbench.metrics.moments import Moments


@dataclass(frozen=True)
class Reference:
    """Moments of the reference images' features, and the sha256 of the images themselves, in order.

    `table` holds every image's features, and is None where only published statistics are known; their sha256 is that
    of the statistics. `extractor` are the facts of the extractor, as far as they are known.
    """

    name: str
    sha256: str
    moments: Moments
    table: FeatureTable | None
    extractor: Mapping[str, Any] | None = None

    @classmethod
    def read(
        cls,
        source: ImageSource,
        extractor: FeatureExtractor,
        batch: int = 250,
        progress: bool = False,
        cache: Path | None = None,
        keep_images: bool = False,
    ) -> Reference:
        """All images of a source; features that `cache` holds for the same images and extractor are not made again.

        Raises:
            DataError: a source without end, or without a second image.
        """
        if source.size is None or source.size < 2:
            raise DataError(
                f"{source.name} cannot be a reference, its size is {source.size}: use a dataset's split, a folder, "
                "a zip or an npz of at least 2 images"
            )
        sha256, labels = content_sha256(source, batch)
        store = None if cache is None else ChunkStore(cache, {"images_sha256": sha256, "labels_sha256": labels})
        title = f"reference {source.name}" if progress else None
        table = extract(
            source, extractor, source.size, batch=batch, store=store, keep_images=keep_images, progress=title
        )
        return cls(source.name, sha256, table.moments, table, extractor.identity())

    @classmethod
    def load(cls, path: Path, extractor: FeatureExtractor) -> Reference:
        """Statistics that `export`, pytorch-fid, clean-fid or ADM's evaluator wrote.

        A file that does not say which extractor made it is taken for one of `extractor`, with a warning.

        Raises:
            ConfigError: statistics of another extractor.
            DataError: a file that cannot be read, or that holds no statistics.
        """
        found = read_statistics(path)
        if found.extractor is None:
            warnings.warn(
                f"{path} does not say which extractor made it: it is taken for one of {extractor.name} "
                f"({extractor.preprocessing})",
                stacklevel=2,
            )
        elif dict(found.extractor) != extractor.identity():
            raise ConfigError(
                f"{path} was made with the extractor {_facts(found.extractor)}, but the samples are judged with "
                f"{_facts(extractor.identity())}: choose the same features=..., or export the reference again"
            )
        return cls(path.name, found.sha256, found.moments, None, found.extractor)

    def export(self, path: Path) -> None:
        """Writes the statistics as a portable npz, of which `load` says who reads it.

        Raises:
            RunError: the file cannot be written.
        """
        write_statistics(path, Statistics(self.moments, self.sha256, self.extractor))


def content_sha256(source: ImageSource, batch: int = 250) -> tuple[str, str | None]:
    """Hex sha256 of a stored source's shape and pixels, in order, and that of its labels or None."""
    assert source.size is not None
    pixels, labels, shape, labelled = hashlib.sha256(), hashlib.sha256(), None, False
    for image, label in source.batches(source.size, batch):
        if shape is None:
            shape = tuple(image.shape[1:])
            pixels.update(repr(shape).encode())
        pixels.update(image.cpu().contiguous().numpy().data)
        if label is not None:
            labelled = True
            labels.update(label.cpu().contiguous().numpy().data)
    return pixels.hexdigest(), labels.hexdigest() if labelled else None


def sha256_of_captions(captions: Sequence[str] | None) -> str | None:
    """Hex sha256 of captions in order, None of none."""
    return None if captions is None else hashlib.sha256(json.dumps(list(captions)).encode()).hexdigest()


def _facts(identity: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={str(value)[:12] if key == 'fingerprint' else value}" for key, value in identity.items())
