import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from genbench.core import DataError, ImageSpec
from genbench.core.pixels import to_float, to_uint8
from genbench.data.npz import Npz, read_npz

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 6, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 4


@pytest.fixture
def save(tmp_path):
    def write(name: str = "set", **arrays) -> Path:
        path = tmp_path / f"{name}.npz"
        np.savez_compressed(path, **arrays)
        return path

    return write


@pytest.mark.parametrize("key", ["images", "arr_0", "x"])
@pytest.mark.parametrize("label_key", ["labels", "arr_1", "y"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_every_spelling_of_the_keys(save, key, label_key, dtype) -> None:
    table = read_npz(save(**{key: COLOUR, label_key: LABELS.astype(dtype)}))
    assert torch.equal(table.image, torch.from_numpy(COLOUR).permute(0, 3, 1, 2))
    assert table.label.dtype == torch.int64
    assert table.label.tolist() == LABELS.tolist()
    assert table.caption is None


@pytest.mark.parametrize("images", [GREY, GREY[..., None]])
def test_grey_images_with_and_without_a_channel(save, images) -> None:
    dataset = Npz(str(save(images=images)), str(save("test", images=images)))
    assert dataset.spec == ImageSpec(1, 6, 5)
    taken = dataset.table("train").take([3])
    assert torch.equal(taken.image, torch.from_numpy(GREY[3])[None, None])
    assert taken.label is None


@pytest.mark.parametrize("key", ["captions", "caption"])
def test_captions(save, key) -> None:
    captions = np.array([f"image {i}" for i in range(40)])
    dataset = Npz(str(save(images=COLOUR, **{key: captions})))
    assert dataset.spec == ImageSpec(3, 6, 5, captions=True)
    for split in ("train", "test"):
        table = dataset.table(split)
        images = table.take(range(len(table)))
        rows = [int(caption.split()[1]) for caption in images.caption]
        assert torch.equal(images.image, torch.from_numpy(COLOUR[rows]).permute(0, 3, 1, 2))


def test_hashed_split_keeps_equal_images_together_and_ignores_order(save) -> None:
    twice = np.concatenate([GREY, GREY])
    dataset = Npz(str(save(images=twice)), test_fraction=0.5)
    train, test = ({image.tobytes() for image in dataset.table(s).image.numpy()} for s in ("train", "test"))
    assert not train & test
    assert len(train) + len(test) == 40
    shuffled = Npz(str(save("b", images=twice[RNG.permutation(80)])), test_fraction=0.5)
    assert {image.tobytes() for image in shuffled.table("test").image.numpy()} == test


def test_hashed_split_sets_the_fraction_aside(save) -> None:
    images = RNG.integers(0, 256, (5000, 2, 2), dtype=np.uint8)
    aside = len(Npz(str(save(images=images)), test_fraction=0.2).table("test"))
    assert abs(aside - 1000) < 4 * (5000 * 0.2 * 0.8) ** 0.5


def test_all_256_levels_survive_the_float_round_trip(save) -> None:
    path = str(save(images=np.arange(256, dtype=np.uint8).reshape(1, 16, 16)))
    image = Npz(path, path).table("train").take([0]).image
    assert to_uint8(to_float(image)).flatten().tolist() == list(range(256))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_an_archive_cut_short_is_named(save, share) -> None:
    path = save(images=COLOUR, labels=LABELS)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"set\.npz is not an npz archive, or is cut short"):
        Npz(str(path))


def test_a_damaged_byte_is_an_error_or_harmless(save) -> None:
    path = save(images=COLOUR, labels=LABELS)
    content = path.read_bytes()
    damaged = 0
    for position in range(0, len(content), 29):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :])
        try:
            table = read_npz(path)
        except DataError as error:
            damaged += "set.npz" in str(error)
        else:
            assert torch.equal(table.image, torch.from_numpy(COLOUR).permute(0, 3, 1, 2))
    assert damaged > 0.9 * len(content) / 29


@pytest.mark.parametrize("key", ["images", "labels", "captions"])
def test_pickled_objects_are_never_loaded(save, key) -> None:
    path = save(**{"images": COLOUR, key: np.array(["a"] * 40, dtype=object)})
    with pytest.raises(DataError, match=rf"set\.npz, key {key}: .*allow_pickle=False"):
        Npz(str(path))


def test_other_files_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.npz does not exist"):
        Npz(str(tmp_path / "nowhere.npz"))
    np.save(tmp_path / "a.npy", GREY)
    (tmp_path / "a.txt").write_text("no zip at all")
    for name in ("a.npy", "a.txt"):
        with pytest.raises(DataError, match="not an npz archive"):
            Npz(str(tmp_path / name))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("images.npy", b"not an array")
    with pytest.raises(DataError, match=r"b\.npz, key images: (images are|cannot be read)"):
        Npz(str(tmp_path / "b.npz"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": GREY}, r"no images; expected them under one of the keys images, arr_0, x"),
        ({"x": GREY.astype(np.float32)}, r"key x: images are float32; expected uint8"),
        ({"images": COLOUR.transpose(0, 3, 1, 2)}, r"key images: images have shape \(40, 3, 6, 5\)"),
        ({"images": GREY[0]}, r"shape \(6, 5\)"),
        ({"images": GREY[:0]}, r"at least one image"),
        ({"images": GREY, "y": LABELS[:39]}, r"key y: .*\(39,\); expected integer labels of shape \(40,\)"),
        ({"images": GREY, "labels": LABELS.astype(float)}, r"key labels: found float64"),
        ({"images": GREY, "labels": np.eye(4)[LABELS].astype(int)}, r"key labels: .*\(40, 4\)"),
        ({"images": GREY, "labels": LABELS - 1}, r"image 0 has label -1; expected 0 to 2"),
        ({"images": GREY, "caption": np.array(["a"])}, r"key caption: .*expected text captions of shape \(40,\)"),
    ],
)
def test_wrong_arrays_are_named(save, arrays, message) -> None:
    with pytest.raises(DataError, match=message) as error:
        Npz(str(save(**arrays)))
    assert "set.npz" in str(error.value)


def test_a_stated_spec_must_fit(save) -> None:
    path = str(save(images=COLOUR, labels=LABELS))
    assert Npz(path).spec == ImageSpec(3, 6, 5, 4)
    assert Npz(path, spec=ImageSpec(3, 6, 5, 10)).spec.num_classes == 10
    with pytest.raises(DataError, match=r"height is 7 but the data have 6, captions is True but the data have False"):
        Npz(path, spec=ImageSpec(3, 7, 5, 4, captions=True))
    with pytest.raises(DataError, match=r"label 3; expected 0 to 2"):
        Npz(path, spec=ImageSpec(3, 6, 5, 3))
    with pytest.raises(DataError, match=r"num_classes is 0 but the data have 4"):
        Npz(path, spec=ImageSpec(3, 6, 5))
    with pytest.raises(DataError, match=r"none of data\.spec\.levels=2 "):
        Npz(path, spec=ImageSpec(3, 6, 5, 4, levels=2))


def test_stated_levels_are_kept(save) -> None:
    binary = str(save(images=(GREY > 127).astype(np.uint8) * 255))
    assert Npz(binary, spec=ImageSpec(1, 6, 5, levels=2)).spec.levels == 2


def test_the_test_archive_must_be_like_the_training_one(save) -> None:
    train = str(save(images=COLOUR, labels=LABELS))
    with pytest.raises(DataError, match=r"grey\.npz holds ImageSpec\(channels=1"):
        Npz(train, str(save("grey", images=GREY, labels=LABELS))).table("test")
    with pytest.raises(DataError, match=r"more\.npz: image 4 has label 4; expected 0 to 3"):
        Npz(train, str(save("more", images=COLOUR, labels=np.arange(40)))).table("test")
    fewer = Npz(train, str(save("fewer", images=COLOUR, labels=LABELS * 0)))
    assert fewer.table("test").label.tolist() == [0] * 40


def test_too_few_images_to_set_any_aside(save) -> None:
    with pytest.raises(DataError, match=r"leaves 0 for testing; name a test archive"):
        Npz(str(save(images=GREY[:1])))


def test_real_cifar10(real_data) -> None:
    folder = real_data / "cifar10"
    dataset = Npz(str(folder / "cifar10_train20k.npz"), str(folder / "cifar10_test1000.npz"))
    assert dataset.spec == ImageSpec(3, 32, 32, 10)
    train, test = dataset.table("train"), dataset.table("test")
    assert (len(train), len(test)) == (20_000, 1_000)
    # the first two fifths of the set, so near its known means to a few standard errors
    mean = train.take(range(20_000)).image.double().mean((0, 2, 3))
    assert mean.tolist() == pytest.approx([125.307, 122.950, 113.865], abs=0.5)
    assert test.label[:8].tolist() == [3, 8, 8, 0, 6, 6, 1, 6]


@pytest.mark.parametrize("side", [32, 64])
def test_real_emoji_have_captions(real_data, side) -> None:
    dataset = Npz(str(real_data / "emoji" / f"noto_emoji_{side}.npz"))
    assert dataset.spec == ImageSpec(3, side, side, captions=True)
    train, test = dataset.table("train"), dataset.table("test")
    assert len(train) + len(test) == 3457
    assert train.take([0, 1]).caption == ["number sign", "keycap #"]
    assert train.label is None
