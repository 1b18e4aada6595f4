"""What samples are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from genbench.core import DataError
from genbench.evaluation.extraction import Batches, extract
from genbench.evaluation.sources import ImageSource
from genbench.features import FeatureExtractor
from genbench.metrics import FeatureTable


@dataclass(frozen=True)
class Reference:
    """Features of all reference images, and the sha256 of the images themselves, in order."""

    name: str
    table: FeatureTable
    sha256: str

    @classmethod
    def read(
        cls, source: ImageSource, extractor: FeatureExtractor, batch: int = 250, progress: bool = False
    ) -> Reference:
        """All images of a source, extracted and fingerprinted in one pass.

        Raises:
            DataError: a source without end, or without a second image.
        """
        if source.size is None or source.size < 2:
            raise DataError(
                f"{source.name} cannot be a reference, its size is {source.size}: use a dataset's split, a folder "
                "or an npz of at least 2 images"
            )
        digest = hashlib.sha256()
        batches = _digested(source.batches(source.size, batch), digest)
        table = extract(batches, extractor, source.size, f"reference {source.name}" if progress else None)
        return cls(source.name, table, digest.hexdigest())


def _digested(batches: Batches, digest: hashlib._Hash) -> Iterator[tuple[Tensor, Tensor | None]]:
    shape = None
    for image, label in batches:
        if shape is None:
            shape = tuple(image.shape[1:])
            digest.update(repr(shape).encode())
        digest.update(image.cpu().contiguous().numpy().data)
        yield image, label
