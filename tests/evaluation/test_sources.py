import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.core import DataError, ImageSpec
from genbench.core.pixels import from_levels, to_uint8
from genbench.data.digits import Digits
from genbench.evaluation.sources import FolderSource, ImageSource, NoiseSource, NpzSource, TableSource

SPEC = ImageSpec(1, 8, 8, num_classes=10, levels=17)


def png(path: Path, value: int = 0, size: tuple[int, int] = (4, 4), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "I;16") else (value, 1, 2, 3)[: len(mode)]).save(path)


def cut_png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()[:500]


def drawn(source: ImageSource, n: int, batch: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.cat([image for image, _ in source.batches(n, batch, seed)])


def test_a_table_gives_every_image_once_in_order_when_all_are_asked() -> None:
    table = Digits().table("test")
    source = TableSource(table, "digits test")
    assert source.size == 360
    whole = table.take(range(360))
    for seed in (0, 1):
        torch.testing.assert_close(drawn(source, 360, 100, seed), whole.image, rtol=0, atol=0)
    label = torch.cat([label for _, label in source.batches(360, 7) if label is not None])
    assert torch.equal(label, whole.label)


def test_a_subset_has_no_duplicates_differs_by_seed_and_not_by_batch() -> None:
    source = TableSource(Digits().table("train"), "digits train")
    chosen = source.choice(200, seed=0)
    assert len(set(chosen)) == 200
    assert list(chosen) == list(source.choice(200, seed=0))
    assert set(chosen) != set(source.choice(200, seed=1))
    assert torch.equal(drawn(source, 200, 3), drawn(source, 200, 64))


def test_too_few_images_say_how_many_and_what_to_lower() -> None:
    source = TableSource(Digits().table("test"), "digits test")
    with pytest.raises(DataError, match=r"digits test has 360 images.* asks for 1000.*protocol\.samples=360"):
        next(source.batches(1000, 10))


def test_a_folder_is_read_recursively_in_the_order_of_paths(tmp_path: Path) -> None:
    for name, value in (("b/0.png", 3), ("a/1.PNG", 2), ("a/0.png", 1)):
        png(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("not an image")
    source = FolderSource(tmp_path)
    image, label = source.draw(0, range(3))
    assert image[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert image.shape == (3, 1, 4, 4)
    assert label is None
    image, label = FolderSource(tmp_path, class_folders=True).draw(0, [2, 0])
    assert label is not None
    assert label.tolist() == [1, 0]


def test_rgb_keeps_its_channels(tmp_path: Path) -> None:
    png(tmp_path / "0.png", 9, (5, 4), "RGB")
    image, _ = FolderSource(tmp_path).draw(0, [0])
    assert image.shape == (1, 3, 4, 5)
    assert image[0, :, 0, 0].tolist() == [9, 1, 2]


def test_a_bad_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.png or \.jpg"):
        FolderSource(tmp_path)
    png(tmp_path / "c" / "0.png")
    png(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"1\.png lies in no class folder"):
        FolderSource(tmp_path, class_folders=True)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.write_bytes(b"\x89PNG not really"), r"1\.png cannot be read"),
        (lambda p: p.write_bytes(cut_png()), r"1\.png cannot be read"),
        (lambda p: png(p, size=(4, 5)), r"1\.png is 5x4x1 but .*0\.png is 4x4x1"),
        (lambda p: png(p, mode="RGB"), r"1\.png is 4x4x3 but"),
        (lambda p: png(p, mode="RGBA"), r"1\.png has mode RGBA"),
        (lambda p: png(p, mode="I;16"), r"1\.png has mode I;16"),
    ],
)
def test_a_bad_image_is_named(tmp_path: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    png(tmp_path / "0.png")
    png(tmp_path / "1.png")
    spoil(tmp_path / "1.png")
    with pytest.raises(DataError, match=message):
        FolderSource(tmp_path).draw(0, [0, 1])


def test_jpeg_is_read_with_a_warning(tmp_path: Path) -> None:
    png(tmp_path / "0.png")
    png(tmp_path / "1.jpg")
    with pytest.warns(UserWarning, match="1 of 2 images .* are JPEG"):
        assert FolderSource(tmp_path).size == 2


@pytest.mark.parametrize("keys", [("images", "labels"), ("arr_0", "arr_1"), ("x", "y")])
def test_an_npz_comes_back_as_it_was(tmp_path: Path, keys: tuple[str, str]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", **{keys[0]: image, keys[1]: np.arange(5, dtype=np.int32)})
    found, label = NpzSource(tmp_path / "a.npz").draw(0, [4, 0])
    np.testing.assert_array_equal(found.permute(0, 2, 3, 1).numpy(), image[[4, 0]])
    assert label is not None
    assert label.tolist() == [4, 0]


def test_an_npz_may_be_grey_and_without_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.full((2, 4, 6), 7, np.uint8))
    image, label = NpzSource(tmp_path / "a.npz").draw(0, [0])
    assert image.shape == (1, 1, 4, 6)
    assert label is None


def archive(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


GOOD = np.zeros((3, 4, 4, 1), np.uint8)


def flipped(content: bytes) -> bytes:
    broken = bytearray(content)
    broken[len(broken) // 3] ^= 0xFF
    return bytes(broken)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable npz"),
        (b"not a zip at all", "not a readable npz"),
        (archive(images=GOOD)[:-30], "not a readable npz"),
        (flipped(archive(images=np.random.default_rng(0).integers(0, 9, (9, 9, 9), np.uint8))), "not a readable npz"),
        (archive(images=np.array([{"a": 1}], dtype=object)), "not a readable npz"),
        (npy(GOOD), "not a readable npz"),
        (archive(pictures=GOOD), "expected uint8 images .* found none"),
        (archive(images=GOOD.astype(np.float32)), r"found float32 \(3, 4, 4, 1\)"),
        (archive(images=GOOD[0, 0]), r"found uint8 \(4, 1\)"),
        (archive(images=GOOD[:0]), r"found uint8 \(0, 4, 4, 1\)"),
        (archive(images=GOOD, labels=np.zeros(2, int)), r"expected 3 integer labels, found int64 \(2,\)"),
        (archive(images=GOOD, labels=np.zeros(3)), "expected 3 integer labels, found float64"),
    ],
)
def test_a_bad_npz_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        NpzSource(path)


def test_an_absent_npz_and_a_zip_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz is not a readable npz"):
        NpzSource(tmp_path / "absent.npz")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as file:
        file.writestr("images.npy", "no array")
    with pytest.raises(DataError, match=r"other\.npz"):
        NpzSource(tmp_path / "other.npz")


def test_noise_is_uniform_over_the_levels_and_seeded_per_image() -> None:
    source = NoiseSource(SPEC)
    image = drawn(source, 2000, 500)
    level, count = image.unique(return_counts=True)
    assert torch.equal(level, to_uint8(from_levels(torch.arange(17), 17), 17))
    # 128 000 pixels over 17 levels: five standard deviations of a binomial count
    expected = image.numel() / 17
    assert (count - expected).abs().max() < 5 * (expected * 16 / 17) ** 0.5
    assert torch.equal(drawn(source, 20, 1), image[:20])
    assert not torch.equal(drawn(source, 20, seed=1), image[:20])
    _, label = source.draw(0, [3, 10, 27])
    assert label is not None
    assert label.tolist() == [3, 0, 7]
