from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from genbench.core import DataError, ImageSpec
from genbench.core.pixels import to_float
from genbench.data.dataset import ImageDataset
from genbench.data.digits import Digits
from genbench.data.images import ResidentTable
from genbench.data.loader import TrainLoader
from genbench.data.module import ImageDataModule, place


class Memory(ImageDataset):
    """Ten colour images whose pixels differ everywhere."""

    def __init__(self, flip: bool = False, label: torch.Tensor | None = None, num_classes: int = 0) -> None:
        super().__init__("memory", ImageSpec(3, 4, 6, num_classes), flip=flip)
        image = torch.randint(0, 256, (10, 3, 4, 6), generator=torch.Generator().manual_seed(0))
        self.resident = ResidentTable(image.to(torch.uint8), label, [f"image {i}" for i in range(10)])

    def table(self, split: str) -> ResidentTable:
        return self.resident


class Watcher(pl.LightningModule):
    """Counts images as the training module does, and keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.images_seen, self.shown = 0, []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def training_step(self, batch, batch_idx: int) -> None:
        self.shown.append((batch_idx, batch.index.tolist()))
        self.images_seen += len(batch)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.images_seen = checkpoint["seen"]


class SaveAt(pl.Callback):
    def __init__(self, batch: int, path: Path) -> None:
        self.batch, self.path = batch, path

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        if trainer.fit_loop.epoch_loop.batch_idx == self.batch:
            trainer.save_checkpoint(self.path)


def fit(module: pl.LightningModule, images: int, *callbacks: pl.Callback, resume: Path | None = None) -> pl.Trainer:
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    trainer.fit(module, ImageDataModule(Digits(), 128, images, seed=1), ckpt_path=resume, weights_only=True)
    return trainer


@pytest.mark.parametrize("saved_at", [0, 5, 14])
def test_lightning_resumes_in_mid_epoch_at_the_next_batch(tmp_path, saved_at) -> None:
    whole, resumed = Watcher(), Watcher()
    fit(whole, 2_000, SaveAt(saved_at, tmp_path / "a.ckpt"))
    assert [index for index, _ in whole.shown] == list(range(16))
    assert whole.images_seen == 2_000
    trainer = fit(resumed, 2_000, resume=tmp_path / "a.ckpt")
    assert resumed.shown == whole.shown[saved_at + 1 :]
    assert resumed.images_seen == 2_000
    assert trainer.current_epoch == 1


def test_the_loader_is_as_long_as_the_budget_and_yields_what_remains() -> None:
    loader = TrainLoader(Memory().table("train"), 4, 30, 0, seen=lambda: 20)
    assert len(loader) == 8
    assert [len(images) for images in loader] == [4, 4, 2]


def test_ranks_see_the_global_batch_between_them() -> None:
    table = Memory().table("train")
    whole = list(TrainLoader(table, 4, 30, 0))
    ranks = [list(TrainLoader(table, 4, 30, 0, rank=rank, world_size=2)) for rank in range(2)]
    for batch, one, other in zip(whole, *ranks, strict=True):
        assert torch.equal(batch.image, torch.cat([one.image, other.image]))
        assert batch.caption == one.caption + other.caption


def test_batches_are_floats_of_the_datasets_levels() -> None:
    data = ImageDataModule(Digits(), 1437, 1437, seed=0)
    (images,) = data.train_dataloader()
    batch = data.on_after_batch_transfer(images, 0)
    assert batch.image.dtype == torch.float32
    assert batch.image.unique().tolist() == [k / 8 - 1 for k in range(17)]
    assert torch.equal(batch.label, images.label)
    assert torch.equal(batch.index, images.index)


def test_flips_only_flip() -> None:
    images = next(iter(ImageDataModule(Memory(), 10, 10, seed=0).train_dataloader()))
    data = {flip: ImageDataModule(Memory(flip), 10, 10, seed=0) for flip in (False, True)}
    plain = data[False].on_after_batch_transfer(images, 0).image
    assert torch.equal(plain, to_float(images.image))
    torch.manual_seed(0)
    flipped = 0
    for _ in range(200):
        batch = data[True].on_after_batch_transfer(images, 0)
        same = (batch.image == plain).flatten(1).all(1)
        mirrored = (batch.image == plain.flip(-1)).flatten(1).all(1)
        assert torch.equal(same, ~mirrored)
        assert batch.caption == images.caption
        flipped += int(mirrored.sum())
    assert abs(flipped - 1000) < 4 * (2000 * 0.25) ** 0.5


@pytest.mark.parametrize(
    ("label", "num_classes", "message"),
    [(3, 3, r"image 0 has label 3; expected 0 to 2 .*largest label is 9"), (-1, 10, r"image 4 has label -1")],
)
def test_labels_beyond_the_spec_are_refused(label, num_classes, message) -> None:
    labels = torch.tensor([3, 9, 0, 1, 2, 0, 1, 2, 0, 1])
    labels[4] = -1 if label < 0 else 2
    with pytest.raises(DataError, match=message):
        ImageDataModule(Memory(label=labels, num_classes=num_classes), 4, 8, seed=0).train_dataloader()


def test_only_a_gpu_with_room_takes_the_table(monkeypatch) -> None:
    table = Memory().table("train")
    assert place(table, torch.device("cpu")) is table
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4 * table.nbytes, 8 * table.nbytes))
    assert place(table, torch.device("cuda")) is table


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_batches_from_a_gpu_are_the_cpus() -> None:
    table = Memory(label=torch.arange(10), num_classes=10).table("train")
    for one, other in zip(
        TrainLoader(table, 4, 30, 0), TrainLoader(place(table, torch.device("cuda")), 4, 30, 0), strict=True
    ):
        assert other.image.is_cuda
        assert torch.equal(one.image, other.image.cpu())
        assert np.array_equal(one.label, other.label.cpu())
