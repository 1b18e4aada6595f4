"""Training from Parquet files where they lie: resumed bit for bit, and equal to training from the library's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tiny_runs import Train, digest

from genbench.data.digits import Digits

library = pytest.importorskip("datasets")


def test_training_from_parquet_files(tmp_path: Path, tiny: Train, unplug: Callable[..., None]) -> None:
    images = Digits().table("train").take(range(600))
    features = library.Features({"image": library.Image(), "label": library.ClassLabel(num_classes=10)})
    columns = {"image": [Image.fromarray(each[0].numpy()) for each in images.image], "label": images.label.tolist()}
    digits = library.Dataset.from_dict(columns, features)
    digits.save_to_disk(tmp_path / "saved")
    for number in range(3):
        (tmp_path / "files").mkdir(exist_ok=True)
        part = digits.shard(3, number, contiguous=True)
        part.to_parquet(tmp_path / "files" / f"train-{number}.parquet", batch_size=50)
    every = ("data=huggingface", "data.channels=1", "data.label_column=label", "data.test_split=null")
    here = (*every, f"data.path={tmp_path / 'files'}", "data.streaming=true", "data.resident_limit=0")
    few = (*here, "data.shuffle_groups=3", "training.workers=2")
    straight = tiny("vae", *few, folder="straight")
    unplug(1, "vae", *few, "training.checkpoint_every=300", folder="cut")
    resumed = tiny("vae", *few, "training.checkpoint_every=300", folder="cut")
    assert digest(resumed.weights) == digest(straight.weights)
    # with all row groups mixed the order is that of the rows the library keeps, and so are the weights
    mixed = tiny("vae", *here, "data.shuffle_groups=1000", folder="mixed")
    saved = tiny("vae", *every, f"data.path={tmp_path / 'saved'}", folder="whole")
    assert digest(mixed.weights) == digest(saved.weights) != digest(straight.weights)
