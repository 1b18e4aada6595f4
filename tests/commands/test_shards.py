"""Training from shards: packed by the command, resumed bit for bit, and equal to training from the folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tiny_runs import TINY, Train, command, digest

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.data.digits import Digits
from genbench.data.pack import Packing, pack
from genbench.data.shard_index import INDEX
from genbench.run import Run

pytest.importorskip("webdataset")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 600 digits as PNG files, a folder per class."""
    root = tmp_path_factory.mktemp("digits")
    images = Digits().table("train").take(range(600))
    for i, (pixels, label) in enumerate(zip(images.image, images.label.tolist(), strict=True)):
        (root / str(label)).mkdir(exist_ok=True)
        Image.fromarray(pixels[0].numpy()).save(root / str(label) / f"{i:04}.png")
    return root


def test_training_from_shards(
    digits: Path, tmp_path: Path, tiny: Train, unplug: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    shards = tmp_path / "shards"
    command("data_pack", f"source={digits}", f"out={shards}", "shard_images=50")
    said = capsys.readouterr().out
    assert said.endswith(f"written now\nnext: genbench train data=webdataset data.root={shards}\n")
    command("data_pack", f"source={digits}", f"out={shards}", "shard_images=50")
    assert "packed before and verified, nothing to do" in capsys.readouterr().out
    small = ("data=webdataset", f"data.root={shards}", "data.channels=1", "data.resident_limit=0")
    few = (*small, "data.shuffle_shards=3", "training.workers=2")
    straight = tiny("vae", *few, folder="straight")
    unplug(1, "vae", *few, "training.checkpoint_every=300", folder="cut")
    elsewhere = f"data.root={shutil.copytree(shards, tmp_path / 'scratch')}"  # as a job's next node has them
    resumed = tiny("vae", *few, elsewhere, "training.checkpoint_every=300", folder="cut")
    assert digest(resumed.weights) == digest(straight.weights)
    # with all shards mixed the order is that of the folder, and so are the weights
    mixed = tiny("vae", *small, "data.shuffle_shards=1000", folder="mixed")
    folder = tiny("vae", "data=image_folder", f"data.root={digits}", "data.channels=1", folder="folder")
    assert digest(mixed.weights) == digest(folder.weights) != digest(straight.weights)


def test_a_default_folder_is_found_again_by_files_with_their_times_and_others_are_told(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def pull(*_: object) -> None:
        raise RuntimeError("pulled the plug")

    def start(root: Path) -> Run:
        streamed = ("data=image_folder", f"data.root={root}", "data.channels=1", "data.resident_limit=0")
        return train(compose("train", ["model=vae", *TINY, *streamed, "trainer=cpu"]))

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "finish", pull)
        with pytest.raises(RuntimeError, match="plug"):
            start(digits)
    other = start(shutil.copytree(digits, tmp_path / "other", copy_function=shutil.copyfile))
    (said,) = (record.getMessage() for record in caplog.records if "other images" in record.getMessage())
    begun = next(path for path in other.path.parent.iterdir() if path.name != other.path.name)
    assert said.startswith(f"{begun} is unfinished, of the same config but other images (sha256 ")
    assert said.endswith("if they are the same files, copy them with their times (rsync -a)")
    assert start(shutil.copytree(digits, tmp_path / "same")).path == begun


def test_indexing_by_command(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = tmp_path / "shards"
    index, _ = pack(digits, shards, Packing(shard_images=200))
    (shards / INDEX).unlink()
    capsys.readouterr()
    command("data_index", f"root={shards}")
    train, test = (sum(shard.images for shard in index.of(split)) for split in ("train", "test"))
    said = f"{shards}: {train} train and {test} test images in {len(index.shards)} shards\n"
    assert capsys.readouterr().out == said + f"next: genbench train data=webdataset data.root={shards}\n"
