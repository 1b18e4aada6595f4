"""Captioned scenes of coloured shapes, drawn rather than stored: the truth of every picture is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property

import torch
from torch import Tensor

from genbench.core import ImageSpec
from genbench.core.errors import ConfigError
from genbench.data.dataset import ImageDataset, Split
from genbench.data.images import Images, ImageTable, ResidentTable
from genbench.shapes import Difficulty, Scene, render, scene_of, skills

VERSION = 1
"""Of the drawings: raised when the same number gives another picture or caption."""


class Shapes(ImageDataset):
    """Pictures of a difficulty with captions; the first `train_images` and `test_images` of two endless streams.

    Picture i is the same whatever the number of images. Training pictures never show a held-out combination; of the
    test captions every other one names one, where the difficulty holds out any. Pictures are never mirrored, for the
    captions tell left from right. Sets that occupy more than `resident_limit` bytes are drawn as they are needed. With
    `train_skills` training captions ask for these alone, in turn, twice as often for one that is there twice.

    Raises:
        ConfigError: a difficulty that cannot be drawn, a split without images, or skills that the captions do not have.
    """

    def __init__(
        self,
        name: str,
        spec: ImageSpec | None,
        difficulty: Difficulty,
        train_images: int,
        test_images: int,
        resident_limit: int,
        train_skills: Sequence[str] | None = None,
    ) -> None:
        side = difficulty.side
        super().__init__(name, ImageSpec(3, side, side, captions=True), spec)
        for split, n in (("train", train_images), ("test", test_images)):
            if n < 1:
                raise ConfigError(f"data.{split}_images is {n}; expected at least 1, such as 1000")
        asked = skills(difficulty, "seen")
        if train_skills is not None and not (train_skills and set(train_skills) <= set(asked)):
            raise ConfigError(
                f"data.train_skills is {list(train_skills)}; expected some of {', '.join(asked)}, or null for all"
            )
        self._only: dict[Split, Sequence[str] | None] = {"train": train_skills, "test": None}
        self.difficulty, self._limit = difficulty, resident_limit
        self._images: dict[Split, int] = {"train": train_images, "test": test_images}
        self._tables: dict[Split, ImageTable] = {}

    def table(self, split: Split) -> ImageTable:
        if split not in self._tables:
            drawn = DrawnTable(self.difficulty, split, self._images[split], self._only[split])
            self._tables[split] = _in_memory(drawn) if drawn.nbytes <= self._limit else drawn
        return self._tables[split]


_drawn: dict[str, ResidentTable] = {}
"""The last two sets that were drawn: the trainings of a benchmark open the same ones again and again."""


def _in_memory(table: DrawnTable) -> ResidentTable:
    key = table.fingerprint()
    if key not in _drawn:
        for oldest in list(_drawn)[:-1]:
            del _drawn[oldest]
        _drawn[key] = table.resident()
    return _drawn[key]


class DrawnTable(ImageTable):
    """The first `n` scenes of a split, of all skills or `only` some, drawn whenever they are taken.

    The fingerprint covers all that decides them: the difficulty, the split, their number, the skills, and the drawings'
    version.
    """

    def __init__(self, difficulty: Difficulty, split: Split, n: int, only: Sequence[str] | None = None) -> None:
        self.difficulty, self.split, self.n, self.only = difficulty, split, n, only
        self._both = split == "test" and bool(difficulty.held_out) and bool(skills(difficulty, "held_out"))

    @property
    def label(self) -> Tensor | None:
        return None

    @cached_property
    def caption(self) -> list[str]:
        return [self.scene(index).caption for index in range(self.n)]

    @property
    def nbytes(self) -> int:
        """Bytes the images would occupy in memory."""
        return self.n * 3 * self.difficulty.side**2

    def __len__(self) -> int:
        return self.n

    def scene(self, index: int) -> Scene:
        """The scene of a picture; test scenes show what was seen and ask for what is held out by turns."""
        if self._both:
            return scene_of(self.difficulty, self.split, index // 2, "held_out" if index % 2 else "seen")
        return scene_of(self.difficulty, self.split, index, only=self.only)

    def take(self, indices: Sequence[int] | Tensor) -> Images:
        rows = torch.as_tensor(indices, dtype=torch.int64)
        scenes = [self.scene(index) for index in rows.tolist()]
        image = render([scene.objects for scene in scenes], self.difficulty.side)
        return Images(image, None, [scene.caption for scene in scenes], rows)

    def resident(self) -> ResidentTable:
        """The same images, all drawn into memory."""
        images = self.take(range(self.n))
        return ResidentTable(images.image, None, images.caption)

    def fingerprint(self) -> str:
        said = [VERSION, asdict(self.difficulty), self.split, self.n, *([] if self.only is None else [self.only])]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
