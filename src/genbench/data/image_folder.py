"""Folders of image files, with or without a folder per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from genbench.core import DataError, ImageSpec
from genbench.data.dataset import ImageDataset, Split
from genbench.data.image_files import Crop, FittingDecoder, Resize, StreamedTable, find_images, is_image
from genbench.data.images import ImageTable
from genbench.data.metadata import METADATA, read_captions
from genbench.data.split import in_test

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")

_SPLITS = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}
"""What others call the folders `train` and `test`."""


@dataclass(frozen=True)
class Listing:
    """Image files relative to their folder, in order, with labels into `classes` and captions where there are any."""

    folder: Path
    files: list[str]
    label: list[int]
    classes: list[str]
    caption: list[str] | None = None

    def keep(self, rows: Sequence[int]) -> "Listing":
        """The files at `rows`."""
        label = [self.label[i] for i in rows] if self.classes else []
        caption = None if self.caption is None else [self.caption[i] for i in rows]
        return Listing(self.folder, [self.files[i] for i in rows], label, self.classes, caption)


class ImageFolder(ImageDataset):
    """Image files below `root`: its `train` and `test` folders, or all of them, split by the hash of their path.

    A folder `val` in the place of `test`, or one of them alone, is refused and not taken for a class.
    Each may hold one folder per class (labels follow the sorted names) or the files themselves (no labels). With a
    metadata.jsonl in it (Hugging Face's imagefolder) its images, at any depth, have captions and no labels:
    `caption_column` is their key there.
    About `test_fraction` of the files are set aside where there is no `test` folder. Images that occupy at
    most `resident_limit` bytes in memory are kept there, others are read as they are needed.
    `FittingDecoder` says what `size`, `resize`, `crop` and `channels` do.

    Raises:
        DataError: no images, a file that cannot be used, captions that do not fit the files, or images unlike `spec`.
    """

    def __init__(
        self,
        root: str,
        name: str = "image_folder",
        spec: ImageSpec | None = None,
        size: int | None = None,
        resize: Resize = "none",
        crop: Crop = "none",
        channels: Literal[1, 3] = 3,
        caption_column: str = "text",
        test_fraction: float = 0.1,
        flip: bool = False,
        resident_limit: int = 2**30,
    ) -> None:
        self._listings = list_splits(Path(root).expanduser(), test_fraction, caption_column)
        self._decoder = FittingDecoder(channels, size, resize, crop)
        train = self._listings["train"]
        self._reference = train.folder / train.files[0]
        _, height, width = self._decoder(self._reference).shape
        levels = 256 if spec is None else spec.levels
        captioned = train.caption is not None
        found = ImageSpec(channels, height, width, len(train.classes), levels, captions=captioned)
        super().__init__(name, found, spec, flip)
        self._limit = resident_limit
        self._tables: dict[Split, ImageTable] = {}

    def table(self, split: Split) -> ImageTable:
        if split not in self._tables:
            self._tables[split] = self._read(split)
        return self._tables[split]

    def _read(self, split: Split) -> ImageTable:
        listing = self._listings[split]
        label = torch.tensor(listing.label) if listing.classes else None
        levels = self.spec.levels
        table = StreamedTable(
            listing.folder, listing.files, label, self._decoder, self._reference, levels, listing.caption
        )
        return table.resident() if table.nbytes <= self._limit else table


def list_splits(root: Path, test_fraction: float, caption_column: str = "text") -> dict[Split, Listing]:
    """The files of both splits.

    Raises:
        DataError: splits by other names, a split without images, a class that only the test split has, or captions in
            one split only.
    """
    if not (root / "train").is_dir() or not (root / "test").is_dir():
        _refuse_other_splits(root)
        return _hashed_split(list_images(root, caption_column), test_fraction)
    train, test = list_images(root / "train", caption_column), list_images(root / "test", caption_column)
    with_captions = [split.folder for split in (train, test) if split.caption is not None]
    if len(with_captions) == 1 or (root / METADATA).is_file():
        there = with_captions[0] if with_captions else root
        raise DataError(
            f"{there} has a {METADATA}; {root / 'train'} and {root / 'test'} each need one of their own images"
        )
    stray = sorted(set(test.classes) - set(train.classes))
    if stray or bool(train.classes) != bool(test.classes):
        raise DataError(
            f"{root / 'test'} has the classes {stray or test.classes or 'none'}, but {root / 'train'} has "
            f"{train.classes or 'none'}; give both the same class folders"
        )
    label = [train.classes.index(test.classes[i]) for i in test.label]
    return {"train": train, "test": Listing(test.folder, test.files, label, train.classes, test.caption)}


def _refuse_other_splits(root: Path) -> None:
    """Refuses folders that are splits and no classes: each is called so, or one for training and one for testing."""
    entries = sorted(root.iterdir()) if root.is_dir() else []
    folders = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    known = {split: [name for name in folders if name.lower() in names] for split, names in _SPLITS.items()}
    found = known["train"] + known["test"]
    would_be_classes = len(found) == len(folders) and not (root / METADATA).is_file()
    if not found or not (all(known.values()) or would_be_classes):
        return
    missing = [split for split in _SPLITS if split not in folders]
    mend = " and ".join(f"rename {known[split][0]} to {split}" if known[split] else f"add {split}" for split in missing)
    if len(found) == 1:
        mend += f", or give {root / found[0]}, of which a part is set aside"
    raise DataError(
        f"{root} has {'the folder' if len(found) == 1 else 'folders'} {' and '.join(found)}; expected train and test: "
        f"{mend}"
    )


def list_images(folder: Path, caption_column: str = "text") -> Listing:
    """The image files of one folder, with the captions of its metadata.jsonl, or its subfolders as classes.

    Raises:
        DataError: no folder, no images, a class without images, images both beside and in class folders, or captions
            that do not fit the images.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder; give one that holds images, such as data.root=FOLDER (source=FOLDER to pack it)"
        )
    if (folder / METADATA).is_file():
        files = find_images(folder, SUFFIXES)
        return Listing(folder, files, [], [], read_captions(folder, files, caption_column))
    entries = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    flat = [name for name in entries if is_image(name, SUFFIXES) and not (folder / name).is_dir()]
    classes = [name for name in entries if (folder / name).is_dir()]
    if flat and classes:
        raise DataError(
            f"{folder} has images ({flat[0]}) beside folders ({classes[0]}); "
            f"move every image into a class folder, or the folders elsewhere"
        )
    if flat:
        return Listing(folder, flat, [], [])
    below = [find_images(folder / each, SUFFIXES) for each in classes]
    found = [(f"{classes[label]}/{name}", label) for label, names in enumerate(below) for name in names]
    if not found:
        raise DataError(f"{folder} has no images; expected files that end in {', '.join(SUFFIXES)}")
    missing = set(range(len(classes))) - {label for _, label in found}
    if missing:
        raise DataError(f"{folder / classes[min(missing)]} has no images; remove this class folder or fill it")
    return Listing(folder, [name for name, _ in found], [label for _, label in found], classes)


def _hashed_split(whole: Listing, fraction: float) -> dict[Split, Listing]:
    rows: dict[Split, list[int]] = {"train": [], "test": []}
    for row, name in enumerate(whole.files):
        rows["test" if in_test(name.encode(), fraction) else "train"].append(row)
    if not rows["train"] or not rows["test"]:
        raise DataError(
            f"{whole.folder}: setting aside data.test_fraction={fraction} of {len(whole.files)} images leaves "
            f"{len(rows['test'])} for testing; add images or make folders train/ and test/"
        )
    return {split: whole.keep(kept) for split, kept in rows.items()}
