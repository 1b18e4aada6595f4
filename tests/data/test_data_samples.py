import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.core import DataError, ImageSpec
from genbench.data import samples
from genbench.data.images import ImageTable, ResidentTable
from genbench.data.samples import read_samples

GREY, RGB = ImageSpec(1, 4, 4, num_classes=10, levels=17), ImageSpec(3, 4, 5)
NOISE = np.random.default_rng(0).integers(0, 256, (5, 4, 5, 3), dtype=np.uint8)


def png(path: Path, value: int = 0, size: tuple[int, int] = (4, 4), mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "I;16") else (value, 1, 2, 3)[: len(mode)]).save(path)


def cut_png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()[:500]


def everything(table: ImageTable) -> torch.Tensor:
    return table.take(range(len(table))).image


def test_an_archive_keeps_its_pixels_and_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", arr_0=NOISE, arr_1=np.arange(5))
    images = read_samples(tmp_path / "a.npz", RGB).take([4, 0])
    np.testing.assert_array_equal(images.image.permute(0, 2, 3, 1).numpy(), NOISE[[4, 0]])
    assert images.label is not None
    assert images.label.tolist() == [4, 0]


@pytest.mark.parametrize("limit", [0, 2**30])
def test_a_folder_is_read_recursively_in_the_order_of_paths(tmp_path: Path, monkeypatch, limit: int) -> None:
    monkeypatch.setattr(samples, "_RESIDENT_LIMIT", limit)
    for name, value in (("b/0.png", 3), ("a/1.PNG", 2), ("a/0.png", 1)):
        png(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "a" / "._0.png").write_bytes(b"what some archivers leave beside a file")
    table = read_samples(tmp_path, GREY)
    assert isinstance(table, ResidentTable) == (limit > 0)
    images = table.take(range(3))
    assert len(table) == 3
    assert images.image[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert images.image.shape == (3, 1, 4, 4)
    assert images.label is None


def test_rgb_keeps_its_channels(tmp_path: Path) -> None:
    png(tmp_path / "0.png", 9, (5, 4), "RGB")
    image = everything(read_samples(tmp_path, RGB))
    assert image.shape == (1, 3, 4, 5)
    assert image[0, :, 0, 0].tolist() == [9, 1, 2]


def test_a_folder_and_an_archive_of_the_same_images_are_equal(tmp_path: Path) -> None:
    (tmp_path / "png").mkdir()
    for i, image in enumerate(NOISE):
        Image.fromarray(image).save(tmp_path / "png" / f"{i}.png")
    np.savez(tmp_path / "a.npz", images=NOISE)
    archive, folder = (read_samples(tmp_path / name, RGB) for name in ("a.npz", "png"))
    assert torch.equal(everything(archive), everything(folder))
    assert archive.fingerprint() == folder.fingerprint()


def test_grey_images_saved_as_rgb_are_grey(tmp_path: Path) -> None:
    grey = NOISE[:, :, :4, 0]
    np.savez(tmp_path / "a.npz", images=np.repeat(grey[..., None], 3, axis=3))
    (tmp_path / "png").mkdir()
    for i, image in enumerate(grey):
        Image.fromarray(image).convert("RGB" if i % 2 else "L").save(tmp_path / "png" / f"{i}.png")
    for name in ("a.npz", "png"):
        assert torch.equal(everything(read_samples(tmp_path / name, GREY)), torch.from_numpy(grey)[:, None])


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_pixel_of_colour_is_colour(tmp_path: Path, channel: int) -> None:
    images = np.repeat(NOISE[:, :, :4, :1], 3, axis=3)
    images[3, 2, 1, channel] ^= 1
    np.savez(tmp_path / "a.npz", images=images)
    (tmp_path / "png").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "png" / f"{i}.png")
    for name, culprit in (("a.npz", r"a\.npz holds images that are"), ("png", r"png/3\.png is")):
        with pytest.raises(DataError, match=rf"{culprit} 4x4x3 .*in colour.* are 4x4x1; save them as 4x4x1"):
            read_samples(tmp_path / name, GREY)


@pytest.mark.parametrize(("shape", "found"), [((8, 4, 1), "8x4x1"), ((4, 5, 1), "4x5x1"), ((8, 8, 3), "8x8x3")])
def test_another_shape_names_both_and_the_fix(tmp_path: Path, shape: tuple[int, ...], found: str) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, *shape), np.uint8))
    (tmp_path / "png").mkdir()
    Image.fromarray(np.zeros(shape, np.uint8).squeeze()).save(tmp_path / "png" / "0.png")
    for name in ("a.npz", "png"):
        with pytest.raises(DataError, match=rf"{found} \(.*\), but the data .* are 4x4x1; save .* 4x4x1.* data=") as e:
            read_samples(tmp_path / name, GREY)
        assert "colour" not in str(e.value)


def test_grey_images_are_not_taken_for_rgb(tmp_path: Path) -> None:
    png(tmp_path / "0.png", size=(5, 4))
    with pytest.raises(DataError, match=r"0\.png is 4x5x1 \(height x width x channels\), but .* are 4x5x3"):
        read_samples(tmp_path, RGB)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.png or \.jpg"):
        read_samples(tmp_path, GREY)
    with pytest.raises(DataError, match=r"absent does not exist; give a folder of PNGs or an npz archive"):
        read_samples(tmp_path / "absent", GREY)
    png(tmp_path / "0.png")
    with pytest.raises(DataError, match=r"0\.png is not an npz archive"):
        read_samples(tmp_path / "0.png", GREY)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.write_bytes(b"\x89PNG not really"), r"1\.png cannot be read"),
        (lambda p: p.write_bytes(cut_png()), r"1\.png cannot be read"),
        (lambda p: png(p, size=(4, 5)), r"1\.png is 5x4x1 .*are 4x4x1"),
        (lambda p: png(p, mode="RGB"), r"1\.png is 4x4x3 .*in colour"),
        (lambda p: png(p, mode="RGBA"), r"1\.png has mode RGBA"),
        (lambda p: png(p, mode="I;16"), r"1\.png has mode I;16"),
    ],
)
@pytest.mark.parametrize("limit", [0, 2**30])
def test_a_bad_image_is_named(tmp_path: Path, monkeypatch, spoil, message: str, limit: int) -> None:
    monkeypatch.setattr(samples, "_RESIDENT_LIMIT", limit)
    png(tmp_path / "0.png")
    png(tmp_path / "1.png")
    spoil(tmp_path / "1.png")
    with pytest.raises(DataError, match=message):
        everything(read_samples(tmp_path, GREY))


def test_jpeg_is_read_with_a_warning(tmp_path: Path) -> None:
    png(tmp_path / "0.png")
    png(tmp_path / "1.jpg")
    with pytest.warns(UserWarning, match="1 of 2 images .* are JPEG"):
        assert len(read_samples(tmp_path, GREY)) == 2


def png_bytes(image: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def write_zip(path: Path, files: dict[str, bytes], labels: Any = "none") -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if labels != "none":
            archive.writestr("dataset.json", json.dumps({"labels": labels}))


@pytest.mark.parametrize("limit", [0, 2**30])
def test_a_zip_is_read_like_the_folder_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(samples, "_RESIDENT_LIMIT", limit)
    names = ["00001/img3.png", "00000/img9.png", "00000/img1.PNG", "top.png", "00001/a/b.png"]
    files = {name: png_bytes(NOISE[row]) for row, name in enumerate(names)}
    junk = {"__MACOSX/._top.png": b"no image", "notes.txt": b"", "00000/": b""}
    write_zip(tmp_path / "a.zip", files | junk, [[name, row + 10] for row, name in enumerate(names)])
    table = read_samples(tmp_path / "a.zip", RGB)
    assert isinstance(table, ResidentTable) == (limit > 0)
    order = sorted(range(5), key=lambda row: names[row])
    images = table.take(range(5))
    np.testing.assert_array_equal(images.image.permute(0, 2, 3, 1).numpy(), NOISE[order])
    assert images.label is not None
    assert images.label.tolist() == [row + 10 for row in order]
    picked = table.take([4, 0])
    assert torch.equal(picked.image, images.image[[4, 0]])
    assert picked.label is not None
    assert picked.label.tolist() == [order[4] + 10, order[0] + 10]
    for name, content in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    assert torch.equal(everything(read_samples(tmp_path / "folder", RGB)), images.image)


def test_a_zip_without_labels_has_none_and_another_content_another_fingerprint(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(samples, "_RESIDENT_LIMIT", 0)
    content = png_bytes(NOISE[0])
    write_zip(tmp_path / "null.zip", {"0.png": content}, None)
    write_zip(tmp_path / "plain.zip", {"0.png": content})
    write_zip(tmp_path / "other.zip", {"0.png": png_bytes(NOISE[1])})
    null, plain, other = (read_samples(tmp_path / f"{name}.zip", RGB) for name in ("null", "plain", "other"))
    assert null.label is plain.label is None
    assert null.fingerprint() == plain.fingerprint() != other.fingerprint()


def test_a_zip_of_grey_and_jpeg(tmp_path: Path) -> None:
    grey = NOISE[:, :, :4, 0]
    rgb = png_bytes(np.repeat(grey[1][..., None], 3, 2))
    write_zip(tmp_path / "grey.zip", {"0.png": png_bytes(grey[0]), "1.png": rgb})
    assert torch.equal(everything(read_samples(tmp_path / "grey.zip", GREY)), torch.from_numpy(grey[:2])[:, None])
    write_zip(tmp_path / "lossy.zip", {"0.png": png_bytes(grey[0]), "1.jpg": png_bytes(grey[1], "JPEG")})
    with pytest.warns(UserWarning, match=r"1 of 2 images in .*lossy\.zip are JPEG"):
        assert len(read_samples(tmp_path / "lossy.zip", GREY)) == 2


FINE = png_bytes(NOISE[0, :, :4, 0])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: write_zip(p, {"notes.txt": b""}), r"a\.zip holds no \.png or \.jpg"),
        (lambda p: p.write_bytes(b"PK but no zip"), r"a\.zip is not a zip, or is cut short"),
        (
            lambda p: write_zip(p, {"0.png": FINE, "d/1.png": b"no image"}),
            r"a\.zip/d/1\.png cannot be read as an image",
        ),
        (lambda p: write_zip(p, {"0.png": FINE, "1.png": cut_png()}), r"a\.zip/1\.png cannot be read as an image"),
        (lambda p: write_zip(p, {"0.png": FINE, "1.png": png_bytes(NOISE[0])}), r"1\.png is 4x5x3 .*are 4x4x1"),
        (lambda p: write_zip(p, {"0.png": png_bytes(np.zeros((4, 4), np.uint16))}), r"0\.png has mode I;16"),
        (lambda p: write_zip(p, {"0.png": FINE, "1.png": FINE}, [["0.png", 1]]), r"json has no label for 1\.png"),
        (lambda p: write_zip(p, {"0.png": FINE}, [["0.png", [0, 1]]]), r"json has the label \[0, 1\] for 0\.png"),
        (lambda p: write_zip(p, {"0.png": FINE}, [1, 2]), r"dataset\.json cannot be read"),
        (lambda p: write_zip(p, {"0.png": FINE, "dataset.json": b"{"}), r"dataset\.json cannot be read"),
    ],
)
@pytest.mark.parametrize("limit", [0, 2**30])
def test_what_is_wrong_in_a_zip_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], message: str, limit: int
) -> None:
    monkeypatch.setattr(samples, "_RESIDENT_LIMIT", limit)
    write(tmp_path / "a.zip")
    with pytest.raises(DataError, match=message):
        everything(read_samples(tmp_path / "a.zip", GREY))


def test_a_changed_byte_in_a_zip_is_found(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", {"0.png": FINE})
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.index(b"IDAT") + 6] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip/0\.png cannot be read \(Bad CRC-32"):
        read_samples(tmp_path / "a.zip", GREY)


def test_captions_of_an_archive_come_with_its_samples(tmp_path) -> None:
    images = np.zeros((3, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "theirs.npz", images=images, captions=np.array(["a", "b", "c"]))
    table = read_samples(tmp_path / "theirs.npz", ImageSpec(3, 8, 8, captions=True))
    assert table.caption == ["a", "b", "c"]
    assert table.take([2]).caption == ["c"]
