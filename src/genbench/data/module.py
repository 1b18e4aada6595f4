"""Lightning's view of a dataset: batches of the budget, on the device, as floats."""

import pytorch_lightning as pl
import torch

from genbench.core import Batch, StreamNoise
from genbench.core.pixels import to_float
from genbench.data.dataset import ImageDataset, check_labels
from genbench.data.images import Images, ImageTable, ResidentTable
from genbench.data.loader import TrainLoader

_DEVICE_SHARE = 0.25
"""The largest part of the free device memory that a dataset may occupy."""


class ImageDataModule(pl.LightningDataModule):
    """Feeds `images` training images in batches of `batch_size` (both count the images of all ranks).

    One Lightning epoch is the whole budget. It starts at the `images_seen` of the LightningModule, so a
    resumed run goes on with the batch after the last one.
    """

    def __init__(self, dataset: ImageDataset, batch_size: int, images: int, seed: int, workers: int = 0) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.images = dataset, batch_size, images
        self.seed, self.workers = seed, workers

    def prepare_data(self) -> None:
        """Lets one process per machine download what is missing before the others read it."""
        self.dataset.table("train")

    def train_dataloader(self) -> TrainLoader:
        """The batches that remain of the budget.

        Raises:
            DataError: labels that the dataset's spec does not have.
        """
        table = self.dataset.table("train")
        check_labels(self.dataset.name, table.label, self.dataset.spec.num_classes)
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        return TrainLoader(
            place(table, device),
            self.batch_size,
            self.images,
            self.seed,
            self.images_seen,
            rank=self.rank,
            world_size=self.world_size,
            workers=self.workers,
            pin_memory=device.type == "cuda",
        )

    @property
    def rank(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_rank

    @property
    def world_size(self) -> int:
        return 1 if self.trainer is None else self.trainer.world_size

    def images_seen(self) -> int:
        """Images trained on so far, by all ranks; 0 without a trainer."""
        return 0 if self.trainer is None else int(self.trainer.lightning_module.images_seen)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Images, device: torch.device, dataloader_idx: int) -> Images:
        return batch.to(device)

    def on_after_batch_transfer(self, batch: Images, dataloader_idx: int) -> Batch:
        image = to_float(batch.image, self.dataset.spec.levels)
        if self.dataset.flip:
            first = self.rank * len(batch)
            noise = StreamNoise(self.world_size * len(batch), image.device).part(first, first + len(batch))
            image = torch.where(noise.uniform(1, 1, 1) < 0.5, image.flip(-1), image)
        return Batch(image, batch.label, batch.caption, batch.index)


def place(table: ImageTable, device: torch.device) -> ImageTable:
    """The table on `device`, if it is a GPU with room for it; otherwise the table as it is."""
    if device.type != "cuda" or not isinstance(table, ResidentTable):
        return table
    free, _ = torch.cuda.mem_get_info(device)
    return table.to(device) if table.nbytes < _DEVICE_SHARE * free else table
