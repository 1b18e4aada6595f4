"""What feeds training: the batches that are left of a budget of images."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from genbench.core import DataError
from genbench.data.images import Images, ImageTable, ResidentTable
from genbench.data.order import BatchOrder
from genbench.processes import STOPS


class TrainLoader:
    """Batches of `table` from position `seen()` to the end of the budget.

    Its length is that of the whole budget, ceil(images / batch_size), whatever has been seen: Lightning
    subtracts the batches done before a resume itself. Tables in memory are indexed by batch, others are
    read by `workers` processes.
    """

    def __init__(
        self,
        table: ImageTable,
        batch_size: int,
        images: int,
        seed: int,
        seen: Callable[[], int] = lambda: 0,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.table, self.batch_size, self.images, self.seed, self.seen = table, batch_size, images, seed, seen
        self.rank, self.world_size = rank, world_size
        self.workers = 0 if isinstance(table, ResidentTable) else workers
        self.pin_memory = pin_memory

    def __len__(self) -> int:
        return -(-self.images // self.batch_size)

    def __iter__(self) -> Iterator[Images]:
        order = BatchOrder(
            len(self.table), self.seed, self.batch_size, self.seen(), self.images, self.rank, self.world_size,
            self.table.shuffled,
        )  # fmt: skip
        return map(self.table.take, order) if self.workers == 0 else self._stream(order)

    def _stream(self, order: BatchOrder) -> Iterator[Images]:
        loader = DataLoader(
            _Batches(self.table),
            batch_sampler=(indices.tolist() for indices in order),
            collate_fn=_as_is,
            num_workers=self.workers,
            pin_memory=self.pin_memory,
            worker_init_fn=_ended_by_parent_alone,
            generator=torch.Generator(),  # else it would draw from, and so shift, training's own stream
        )
        for images in loader:
            if isinstance(images, DataError):
                raise images
            yield images


class _Batches(torch.utils.data.Dataset[Images]):
    """A table as torch's DataLoader reads it: a whole batch at a time.

    An error is returned, not raised: the DataLoader would bury its message in a worker's traceback.
    """

    def __init__(self, table: ImageTable) -> None:
        self.table = table

    def __getitems__(self, indices: list[int]) -> Images | DataError:
        try:
            return self.table.take(indices)
        except DataError as error:
            return error


def _ended_by_parent_alone(worker: int) -> None:
    """Makes a worker deaf to signals to stop that come from elsewhere.

    Clusters send them to every process of a job, and training, which answers for all, still needs its batches.
    """
    if not hasattr(signal, "sigwaitinfo"):  # macOS
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    started_by = multiprocessing.parent_process()  # not the server that forked it, where there is one
    assert started_by is not None

    def listen() -> None:
        while signal.sigwaitinfo(STOPS).si_pid != started_by.pid:
            pass
        os._exit(0)  # as torch's own workers end, which are then not told as dead

    threading.Thread(target=listen, daemon=True).start()


def _as_is(batch: Any) -> Any:
    return batch
