"""A budget in seconds as a number of images: measured once on a training that is thrown away, then kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genbench.app.budget import whole_batches
from genbench.app.device import release_memory
from genbench.app.fitting import fit, trainer_of, training_data, training_model, training_module
from genbench.app.kept import kept_config
from genbench.data.dataset import ImageDataset
from genbench.evaluation.ranks import from_first, rank
from genbench.training.module import TrainingModule
from genbench.training.numerics import numerics

log = logging.getLogger(__name__)

WARM_UP = 4
"""Batches before the clock starts: the first are slow. A power of two."""
ENDLESS = 10**12
"""Batches of the training that is stopped as soon as its speed is known."""


def settle_seconds(config: dict[str, Any], dataset: ImageDataset, folder: Path) -> dict[str, Any]:
    """The config with `budget.images` filled in where the budget is in seconds: the run folder's, or as measured now.

    Raises:
        ConfigError: less than one batch is paid for.
        RunError: the folder holds another experiment.
    """
    budget = config["budget"]
    if budget.get("seconds") is None:
        return config
    images = from_first("look for the images measured before", lambda: _kept(config, folder))
    if images is None:
        rate = images_per_second(config, dataset, folder)
        release_memory()
        images = whole_batches(budget, "seconds", 1.0 / rate)
        if rank() == 0:
            log.info("%s: %.4g images/s, so %d images in %g s", config["name"], rate, images, budget["seconds"])
    return config | {"budget": budget | {"images": images}}


def _kept(config: dict[str, Any], folder: Path) -> int | None:
    kept = kept_config(config, folder)
    return None if kept is None else int(kept.budget.images)


def images_per_second(config: dict[str, Any], dataset: ImageDataset, folder: Path) -> float:
    """How fast the config trains on the devices it asks for, over a twentieth of its seconds, but 2 to 30 of them.

    The first device's clock counts. Nothing is left of the training, in the folder or anywhere else.
    """
    endless = config | {"budget": config["budget"] | {"images": ENDLESS * config["budget"]["batch_size"]}}
    watch = _Stopwatch(min(max(2.0, config["budget"]["seconds"] / 20), 30.0))
    module = training_module(training_model(endless, dataset), endless)
    with numerics(endless["training"]["matmul_precision"]):
        fit(trainer_of(endless, folder, [watch]), module, training_data(dataset, endless), endless["seed"])
    return watch.rate


class _Stopwatch(pl.Callback):
    """Stops a training that has run for so many seconds after its first batches.

    It looks after 4, 8, 16, ... batches only, so that looking, on several devices an exchange, costs no time.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.rate = seconds, 0.0
        self._begun = (0, 0.0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        batches = batch_idx + 1
        if batches < WARM_UP or batches & (batches - 1):
            return
        with module.off_the_clock():  # what a GPU has been told to do is done then
            clock = from_first("read the clock", module.elapsed)
        if batches == WARM_UP:
            self._begun = (module.images_seen, clock)
        elif (passed := clock - self._begun[1]) >= self.seconds:
            self.rate = (module.images_seen - self._begun[0]) / passed
            trainer.should_stop = True
