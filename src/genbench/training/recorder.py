"""Losses and the health of a training to the loggers, and the alarm for losses that are no longer finite."""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from genbench.core import TrainingError
from genbench.training.every import Every
from genbench.training.module import TrainingModule
from genbench.training.nonfinite import REMEDY
from genbench.training.peak import forget_peak_memory, peak_flops, peak_memory

log = logging.getLogger(__name__)


class Recorder(pl.Callback):
    """Losses and the health of training to all loggers, of intervals that end at multiples of `every` images.

    Losses and the norm of every move's gradient before clipping, as means; `lr`; `seconds`; `images_per_second` of all
    devices together; with the operations of an image (`flops`) `mfu`, the share of the devices' measured peak
    (Chowdhery et al. 2022, appendix B); `time/PHASE`, each phase's share; `peak_memory_gib` of the first process; and
    how many moves were `skipped` so far, where they are. Losses wait on the device until then, so recording costs one
    transfer an interval; those of a begun interval go into checkpoints.

    Raises:
        TrainingError: a loss or gradient norm is not finite, and moves are not skipped for it; names the image count at
            which it happened.
    """

    def __init__(self, every: int, flops: float | None = None) -> None:
        self.every, self.flops = Every(every, "log_every"), flops
        self._peak = 0.0
        self._pending: list[tuple[int, dict[str, Tensor]]] = []  # on the device
        self._settled: dict[str, Tensor] = {}  # checked, and means over devices
        self._last: tuple[int, float] | None = None
        self._skipped = 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self._last = self._last or (module.images_seen, module.elapsed())
        self._skipped = module.skips.total if module.skips is not None else 0
        if self.flops is not None:
            self._peak = trainer.world_size * peak_flops(module.device, str(trainer.precision))
        forget_peak_memory(module.device)
        self.every.start(module.images_seen)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        self._pending.append((module.images_seen, outputs))
        # the end too, before the checkpoint there: a training that goes on from that has nothing left to record
        if self.every.due(module.images_seen) or module.images_seen >= module.images:
            with module.clock.within("logging"):
                self.record(trainer, module)

    def settle(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Checks what is pending; called before every checkpoint, so that none is taken of a ruin."""
        if not self._pending:
            return
        for name in self._pending[-1][1]:
            values = torch.stack([losses[name].float() for _, losses in self._pending])
            # over all devices, each of which has seen its share of the images
            values = trainer.strategy.reduce(values, reduce_op="mean").cpu()
            finite = values.isfinite()
            if module.skips is None and not finite.all():
                bad = int((~finite).nonzero()[0, 0])
                raise TrainingError(self._alarm(name, float(values[bad]), self._pending[bad][0]))
            self._settled[name] = torch.cat([self._settled.get(name, values[:0]), values])
        self._pending.clear()

    def record(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Tells all loggers of the interval that ends here."""
        self.settle(trainer, module)
        finite = {name: values[values.isfinite()] for name, values in self._settled.items()}
        images, seconds = module.images_seen, module.elapsed()
        assert self._last is not None
        speed = (images - self._last[0]) / max(seconds - self._last[1], 1e-9)
        record = {
            **{name: float(values.mean()) for name, values in finite.items() if len(values)},
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": seconds,
            "images_per_second": speed,
            **({} if self.flops is None else {"mfu": self.flops * speed / self._peak}),
            **{f"time/{phase}": round(share, 4) for phase, share in module.clock.shares().items()},
            "peak_memory_gib": round(peak_memory(module.device), 3),
            **self._skips(module, images),
        }
        for logger in trainer.loggers:
            logger.log_metrics(record, step=images)
        self._settled.clear()
        self._last = (images, seconds)

    def state_dict(self) -> dict[str, Any]:
        """What a training that stops within an interval needs to record it like an undisturbed one."""
        assert self._last is not None
        images, seconds = self._last
        return {"settled": dict(self._settled), "since": {"images": images, "seconds": seconds}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        since = state_dict["since"]
        self._settled, self._last = dict(state_dict["settled"]), (since["images"], since["seconds"])

    def _skips(self, module: TrainingModule, images: int) -> dict[str, int]:
        if module.skips is None:
            return {}
        if (new := module.skips.total - self._skipped) and module.trainer.is_global_zero:
            log.warning("%d moves skipped up to %d images: a loss or gradient was not finite", new, images)
        self._skipped = module.skips.total
        return {"skipped": module.skips.total}

    @staticmethod
    def _alarm(name: str, value: float, images: int) -> str:
        return (
            f"{name} is {value} at {images} images seen; training stopped; an earlier checkpoint, if any, is kept: "
            f"{REMEDY}, or training.nonfinite=skip in another run_dir"
        )
