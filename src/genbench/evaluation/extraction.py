"""From images to the table that metrics read."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from genbench.core import RunError
from genbench.evaluation.ranks import rank, together, world
from genbench.evaluation.rows import Rows
from genbench.evaluation.sources import ImageSource, SamplingCost
from genbench.evaluation.store import Chunk, ChunkStore
from genbench.features import FeatureExtractor
from genbench.metrics import FeatureTable

CHUNK = 250
"""Images that are drawn, stored and given to a process together; the grid of chunks depends on nothing else."""

_IMAGES = {"images": True}


def extract(
    source: ImageSource,
    extractor: FeatureExtractor,
    n: int,
    *,
    seed: int = 0,
    batch: int = 250,
    store: ChunkStore | None = None,
    keep_images: bool = False,
    progress: str | None = None,
) -> FeatureTable:
    """The features of images number 0..n-1 of a sampling seed, in order; `progress` titles a bar, None shows none.

    Images pass the network `batch` (at most 250) at a time, which moves speed and memory alone. Chunks that `store`
    holds are not made again, and their cost counts in `source.cost` as if they had been. Processes share the work
    through the store's folder and all return the same table; without a store each does the whole work.
    `keep_images` keeps the images beside their features, and in the store those that had to be made.

    Raises:
        DataError: fewer than n images, or images that differ in shape.
        RunError: another process failed, or its chunks are not in the folder.
    """
    worker = _Worker(source, extractor, seed, batch, store, keep_images)
    indices = source.choice(n, seed)
    chunks = [(start, indices[start : start + CHUNK]) for start in range(0, n, CHUNK)]
    mine = [number % world() == rank() or store is None for number in range(len(chunks))]
    rows = Rows(n, None if store is None else store.folder)
    with tqdm(total=n, desc=progress, unit="img", disable=progress is None or rank() > 0, leave=False) as bar:
        for ours in (True, False):
            # the second round reads what the others have made, so it begins when all have
            with together(f"extract the features of {source.name}"):
                for (start, chosen), here in zip(chunks, mine, strict=True):
                    if here == ours:
                        rows.put(start, worker.make(chosen) if ours else worker.read(chosen))
                        bar.update(len(chosen))
    return rows.table(extractor.classifies, source.captions(indices))


@dataclass(frozen=True)
class _Worker:
    """Makes or reads the chunks of one extraction."""

    source: ImageSource
    extractor: FeatureExtractor
    seed: int
    batch: int
    store: ChunkStore | None
    keep_images: bool

    def make(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The columns of these images, from the store as far as it has them."""
        found = self._get(self._kind, indices)
        if found is None:
            return self._extracted(indices)
        return self._with_images(found, indices)

    def read(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The columns of images that another process has made."""
        found = self._get(self._kind, indices)
        if found is None:
            assert self.store is not None
            raise RunError(
                f"what another process made is not in {self.store.folder}: give all processes one shared folder, with "
                "space to write"
            )
        return self._with_images(found, indices)

    @property
    def _kind(self) -> dict[str, object]:
        return {"extractor": self.extractor.identity(), "classifies": self.extractor.classifies}

    @torch.no_grad()
    def _extracted(self, indices: Sequence[int]) -> dict[str, Tensor]:
        before = None if self.source.cost is None else replace(self.source.cost)
        device = next(self.extractor.parameters()).device
        pieces: list[dict[str, Tensor]] = []
        stored = self._get(_IMAGES, indices) if self._makes_images else None
        for image, label in self._drawn(indices) if stored is None else self._again(stored):
            with _full_float32():
                out = self.extractor(image.to(device))
            piece = {name: out[name].float().cpu() for name in ("features", "logits")}
            if label is not None:
                piece["label"] = label.cpu()
            if self.keep_images:
                piece["image"] = image.cpu()
            pieces.append(piece)
        tensors = _joined(pieces)
        cost = None if before is None or self.source.cost is None else self.source.cost - before
        if stored is not None:
            cost = stored.cost
            self._count(cost)
        if self.store is not None:
            features = {name: tensor for name, tensor in tensors.items() if name != "image"}
            self.store.put(self._kind, self.seed, indices, Chunk(features, cost))
            if stored is None and self.keep_images and self._makes_images:
                self._put_images(tensors, indices, cost)
        return tensors

    def _with_images(self, features: Chunk, indices: Sequence[int]) -> dict[str, Tensor]:
        """The columns of a chunk whose features were found; images that are wanted and not stored are drawn again."""
        if not self.keep_images:
            self._count(features.cost)
            return features.tensors
        stored = self._get(_IMAGES, indices) if self._makes_images else None
        if stored is not None:
            self._count(stored.cost)
            return features.tensors | {"image": stored.tensors["image"]}
        drawn = _joined([{"image": image.cpu()} for image, _ in self._drawn(indices)])
        tensors = features.tensors | drawn
        if self._makes_images:
            self._put_images(tensors, indices, features.cost)
        return tensors

    @property
    def _makes_images(self) -> bool:
        """Whether a drawn image costs anything: stored ones are read again rather than stored twice."""
        return self.source.cost is not None

    def _drawn(self, indices: Sequence[int]) -> Iterator[tuple[Tensor, Tensor | None]]:
        for start in range(0, len(indices), self.batch):
            yield self.source.draw(self.seed, indices[start : start + self.batch])

    def _again(self, stored: Chunk) -> Iterator[tuple[Tensor, Tensor | None]]:
        image, label = stored.tensors["image"], stored.tensors.get("label")
        for start in range(0, len(image), self.batch):
            rows = slice(start, start + self.batch)
            yield image[rows], None if label is None else label[rows]

    def _get(self, kind: Mapping[str, object], indices: Sequence[int]) -> Chunk | None:
        return None if self.store is None else self.store.get(kind, self.seed, indices)

    def _put_images(self, tensors: dict[str, Tensor], indices: Sequence[int], cost: SamplingCost | None) -> None:
        assert self.store is not None
        images = {name: tensor for name, tensor in tensors.items() if name in ("image", "label")}
        self.store.put(_IMAGES, self.seed, indices, Chunk(images, cost))

    def _count(self, cost: SamplingCost | None) -> None:
        if self.source.cost is not None and cost is not None:
            self.source.cost += cost


@contextmanager
def _full_float32() -> Iterator[None]:
    """On GPUs too, whose default rounds the factors of a convolution to 10 bits: a score would tell the card."""
    places: list[Any] = [torch.backends.cudnn, torch.backends.cuda.matmul]
    before = [place.allow_tf32 for place in places]
    for place in places:
        place.allow_tf32 = False
    try:
        yield
    finally:
        for place, allowed in zip(places, before, strict=True):
            place.allow_tf32 = allowed


def _joined(pieces: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}
