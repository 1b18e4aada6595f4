import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.data.image_folder import ImageFolder
from genbench.data.images import ResidentTable
from genbench.data.loader import TrainLoader

RNG = np.random.default_rng(1)


def pixels(height: int = 6, width: int = 5, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def save(path: Path, image: np.ndarray | Image.Image) -> np.ndarray | Image.Image:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path)
    return image


def fill(root: Path, n: int = 12, **shape: int) -> dict[str, np.ndarray]:
    """A train folder of two classes, b before a on disk, and a test folder with the same."""
    names = [f"{split}/{label}/{i:02}.png" for split in ("train", "test") for label in ("b", "a") for i in range(n)]
    return {name: save(root / name, pixels(**shape)) for name in names}


def test_labels_follow_the_sorted_class_folders(tmp_path) -> None:
    saved = fill(tmp_path)
    dataset = ImageFolder(str(tmp_path))
    assert dataset.spec == ImageSpec(3, 6, 5, num_classes=2)
    for split in ("train", "test"):
        images = dataset.table(split).take(range(24))
        expected = [saved[f"{split}/{label}/{i:02}.png"] for label in "ab" for i in range(12)]
        assert images.label.tolist() == [0] * 12 + [1] * 12
        assert torch.equal(images.image, torch.from_numpy(np.stack(expected)).permute(0, 3, 1, 2))


def test_a_test_class_keeps_its_training_label(tmp_path) -> None:
    fill(tmp_path)
    shutil.rmtree(tmp_path / "test" / "a")
    assert ImageFolder(str(tmp_path)).table("test").label.unique().tolist() == [1]


def test_classes_without_split_folders_are_split_by_path(tmp_path) -> None:
    for name in [f"{label}/{i}.png" for label in ("cat", "dog", "train") for i in range(40)]:
        save(tmp_path / name, pixels())
    dataset = ImageFolder(str(tmp_path), test_fraction=0.25)
    train, test = (dataset._listings[split].files for split in ("train", "test"))
    assert len(train) + len(test) == len({*train, *test}) == 120
    assert abs(len(test) - 30) < 4 * (120 * 0.25 * 0.75) ** 0.5
    assert dataset.spec.num_classes == 3
    (tmp_path / "cat" / "0.png").unlink()
    fewer = ImageFolder(str(tmp_path), test_fraction=0.25)
    assert fewer._listings["test"].files == [name for name in test if name != "cat/0.png"]


def test_a_flat_folder_has_no_labels(tmp_path) -> None:
    for i in range(30):
        save(tmp_path / f"{i}.png", pixels(channels=1))
    (tmp_path / "notes.txt").write_text("not an image")
    dataset = ImageFolder(str(tmp_path), channels=1)
    assert dataset.spec == ImageSpec(1, 6, 5)
    assert dataset.table("train").label is None
    assert len(dataset.table("train")) + len(dataset.table("test")) == 30


def test_streamed_and_resident_batches_are_equal(tmp_path) -> None:
    fill(tmp_path)
    resident = ImageFolder(str(tmp_path)).table("train")
    streamed = ImageFolder(str(tmp_path), resident_limit=24 * 6 * 5 * 3 - 1).table("train")
    assert isinstance(resident, ResidentTable)
    assert not isinstance(streamed, ResidentTable)
    state = torch.get_rng_state()
    for workers in (0, 2):
        batches = [TrainLoader(table, 7, 61, 5, workers=workers) for table in (resident, streamed)]
        for one, other in zip(*batches, strict=True):
            assert torch.equal(one.image, other.image)
            assert torch.equal(one.label, other.label)
            assert torch.equal(one.index, other.index)
    assert torch.equal(torch.get_rng_state(), state), "loading must not disturb training's random stream"


def test_streamed_fingerprint_sees_changed_files_and_settings(tmp_path) -> None:
    fill(tmp_path)
    settings = {"resident_limit": 0, "size": 4, "resize": "bilinear"}

    def fingerprint(**change) -> str:
        return ImageFolder(str(tmp_path), **{**settings, **change}).table("train").fingerprint()

    first = fingerprint()
    assert first == fingerprint()
    assert first != fingerprint(resize="bicubic")
    os.utime(tmp_path / "train" / "a" / "03.png", (0, 0))
    assert first != fingerprint()


@pytest.mark.parametrize("filter_", ["bilinear", "bicubic", "lanczos"])
def test_resizing_is_antialiased(tmp_path, filter_) -> None:
    # one-pixel stripes: any filter wide enough for the reduction averages them, a naive one picks one colour
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    for split in ("train", "test"):
        save(tmp_path / split / "a.png", stripes)
    image = ImageFolder(str(tmp_path), channels=1, size=8, resize=filter_).table("train").take([0]).image
    assert image.shape == (1, 1, 8, 8)
    assert (image[..., 1:-1].int() - 128).abs().max() <= 2


def test_crops(tmp_path) -> None:
    wide = save(tmp_path / "train" / "a.png", pixels(6, 10))
    save(tmp_path / "test" / "a.png", wide)
    stored = ImageFolder(str(tmp_path), crop="center", size=4).table("train").take([0]).image
    assert torch.equal(stored[0], torch.from_numpy(wide[1:5, 3:7]).permute(2, 0, 1))
    square = ImageFolder(str(tmp_path), crop="center", size=6, resize="bicubic").table("train").take([0]).image
    assert torch.equal(square[0], torch.from_numpy(wide[:, 2:8]).permute(2, 0, 1))
    squashed = ImageFolder(str(tmp_path), size=6, resize="bicubic").table("train").take([0]).image
    assert squashed.shape == square.shape
    assert not torch.equal(squashed, square)
    with pytest.raises(DataError, match=r"a\.png is 6x10, too small for the centred 8x8"):
        ImageFolder(str(tmp_path), crop="center", size=8)
    with pytest.raises(ConfigError, match=r"data\.size=32"):
        ImageFolder(str(tmp_path), resize="bicubic")


def test_convertible_modes_are_converted_when_resizing(tmp_path) -> None:
    grey = pixels(8, 8, 1)
    for split in ("train", "test"):
        save(tmp_path / split / "grey.png", grey)
        save(tmp_path / split / "palette.png", Image.fromarray(pixels(8, 8)).quantize(16))
    image = ImageFolder(str(tmp_path), size=8, resize="bicubic").table("train").take([0]).image
    assert torch.equal(image[0], torch.from_numpy(grey).expand(3, 8, 8))


@pytest.mark.parametrize(("mode", "resize"), [("RGBA", "bicubic"), ("I;16", "bicubic"), ("L", "none"), ("P", "none")])
def test_wrong_modes_are_named(tmp_path, mode, resize) -> None:
    fill(tmp_path)
    odd = {
        "RGBA": Image.fromarray(pixels(6, 5, 4)),
        "I;16": Image.fromarray(np.full((6, 5), 40_000, np.uint16)),
        "L": Image.fromarray(pixels(channels=1)),
        "P": Image.fromarray(pixels()).quantize(8),
    }[mode]
    save(tmp_path / "train" / "b" / "05.png", odd)
    with pytest.raises(DataError, match=rf"b/05\.png has mode {mode}"):
        ImageFolder(str(tmp_path), size=6, resize=resize).table("train")


@pytest.mark.parametrize("limit", [0, 2**30])
def test_different_sizes_name_both_files(tmp_path, limit) -> None:
    fill(tmp_path)
    save(tmp_path / "train" / "b" / "05.png", pixels(6, 7))
    with pytest.raises(DataError, match=r"b/05\.png is 6x7 but \S*train/a/00\.png is 6x5.*data\.resize"):
        ImageFolder(str(tmp_path), resident_limit=limit).table("train").take(range(24))


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_unreadable_images_are_named(tmp_path, content) -> None:
    fill(tmp_path, height=40, width=40)
    bad = tmp_path / "train" / "b" / "05.png"
    bad.write_bytes(bad.read_bytes()[:500] if content is None else content)
    with pytest.raises(DataError, match=r"b/05\.png cannot be read as an image"):
        ImageFolder(str(tmp_path)).table("train")


def test_a_link_to_nothing_is_named(tmp_path) -> None:
    fill(tmp_path)
    (tmp_path / "train" / "b" / "99.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"b/99\.png cannot be read as an image \(.*mend it or take it out"):
        ImageFolder(str(tmp_path)).table("train")
    streamed = ImageFolder(str(tmp_path), resident_limit=0).table("train")
    with pytest.raises(DataError, match=r"b/99\.png cannot be read \(No such file or directory\); mend it or take it"):
        streamed.fingerprint()
    with pytest.raises(DataError, match=r"b/99\.png cannot be read as an image"):
        streamed.take([24])


def test_an_error_in_a_worker_stays_one_line(tmp_path) -> None:
    fill(tmp_path)
    (tmp_path / "train" / "b" / "05.png").write_bytes(b"")
    streamed = ImageFolder(str(tmp_path), resident_limit=0).table("train")
    with pytest.raises(DataError, match=r"b/05\.png cannot be read") as error:
        list(TrainLoader(streamed, 8, 24, 0, workers=1))
    assert "\n" not in str(error.value)


def test_folders_that_hold_no_usable_images(tmp_path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        ImageFolder(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="has no images; expected files that end in"):
        ImageFolder(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no images; expected files that end in"):
        ImageFolder(str(tmp_path))
    save(tmp_path / "full" / "a.png", pixels())
    with pytest.raises(DataError, match=r"/empty has no images; remove this class folder"):
        ImageFolder(str(tmp_path))
    save(tmp_path / "beside.png", pixels())
    with pytest.raises(DataError, match=r"has images \(beside\.png\) beside folders \(empty\)"):
        ImageFolder(str(tmp_path))


def test_test_classes_must_be_training_classes(tmp_path) -> None:
    fill(tmp_path)
    save(tmp_path / "test" / "c" / "0.png", pixels())
    with pytest.raises(DataError, match=r"/test has the classes \['c'\], but \S*/train has \['a', 'b'\]"):
        ImageFolder(str(tmp_path))


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (("train", "val"), r"has folders train and val; expected train and test: rename val to test"),
        (("train", "val", "annotations"), r"has folders train and val; .*: rename val to test"),
        (("training", "testing"), r"training and testing; .*: rename training to train and rename testing to test"),
        (("Train", "test"), r"Train and test; .*: rename Train to train"),
        (("test", "validation"), r"test and validation; expected train and test: add train"),
        (("train",), r"has the folder train; .*: add test, or give \S+/train, of which a part is set aside"),
        (("valid",), r"the folder valid; .*: add train and rename valid to test, or give \S+/valid"),
    ],
)
def test_splits_by_other_names_are_no_classes(tmp_path, folders, told: str) -> None:
    for name in [f"{folder}/{label}/{i}.png" for folder in folders for label in "ab" for i in range(20)]:
        save(tmp_path / name, pixels())
    with pytest.raises(DataError, match=told):
        ImageFolder(str(tmp_path))


def test_a_class_may_be_called_as_a_split_is(tmp_path) -> None:
    for name in [f"{label}/{i}.png" for label in ("car", "test", "val") for i in range(20)]:
        save(tmp_path / name, pixels())
    assert ImageFolder(str(tmp_path))._listings["train"].classes == ["car", "test", "val"]
    shutil.rmtree(tmp_path / "car")
    lines = [f'{{"file_name": "{label}/{i}.png", "text": "x"}}\n' for label in ("test", "val") for i in range(20)]
    (tmp_path / "metadata.jsonl").write_text("".join(lines))
    assert ImageFolder(str(tmp_path)).spec.captions, "with captions folders mean nothing"


def test_a_split_that_would_be_empty(tmp_path) -> None:
    save(tmp_path / "a.png", pixels())
    with pytest.raises(DataError, match=r"leaves \d for testing; add images or make folders train/ and test/"):
        ImageFolder(str(tmp_path))


def test_a_stated_spec_must_fit(tmp_path) -> None:
    fill(tmp_path)
    with pytest.raises(DataError, match="num_classes is 10 but the data have 2"):
        ImageFolder(str(tmp_path), spec=ImageSpec(3, 6, 5, 10))
    binary = ImageFolder(str(tmp_path), spec=ImageSpec(3, 6, 5, 2, levels=2))
    with pytest.raises(DataError, match=r"a/00\.png: pixels have the value \d+, which is none of"):
        binary.table("train")
