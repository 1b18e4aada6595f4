"""What a training is put together from, and how it is run: for the run folder, or only to see how fast it is."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.loggers.logger import Logger

from genbench.app.build import attach_guide, build
from genbench.app.first_stage import remember_latents
from genbench.app.start import start_from
from genbench.app.text_encoder import remember_captions
from genbench.core import ConfigError, GenerativeModel, TrainingError
from genbench.core.errors import first_line
from genbench.data.dataset import ImageDataset
from genbench.data.module import ImageDataModule
from genbench.evaluation.ranks import world
from genbench.training.checkpoint import InPlace
from genbench.training.module import TrainingModule
from genbench.training.preemption import Stopped
from genbench.training.recompute import recompute
from genbench.training.replicas import reaching_others


def training_model(config: Mapping[str, Any], dataset: ImageDataset) -> GenerativeModel:
    """The model as training begins, its weights drawn from the config's seed or read from where it starts.

    Raises:
        ConfigError: it cannot be built, or what it starts from does not fit.
    """
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    model: GenerativeModel = build(config["model"])
    start_from(model, config)
    if config["training"]["activation_checkpointing"]:
        recompute(model)
    remember_latents(model, dataset)
    remember_captions(model, dataset)
    attach_guide(model, config)
    return model


def training_module(model: GenerativeModel, config: Mapping[str, Any]) -> TrainingModule:
    """The Lightning module of a config whose budget is settled."""
    settings = config["training"]
    return TrainingModule(
        model,
        build(config["optimizer"]),
        build(config["lr_scheduler"]),
        config["budget"]["images"],
        clip=settings["clip"],
        ema_half_life=settings["ema_half_life"],
        ema_rampup=settings["ema_rampup"],
        accumulate=settings["accumulate"],
        channels_last=settings["channels_last"],
        compile=settings["compile"],
        nonfinite=settings["nonfinite"],
    )


def training_data(dataset: ImageDataset, config: Mapping[str, Any]) -> ImageDataModule:
    """The batches of a config whose budget is settled."""
    budget = config["budget"]
    return ImageDataModule(
        dataset, budget["batch_size"], budget["images"], config["seed"], config["training"]["workers"]
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's own chatter kept to errors: hints about workers and loggers do not apply to our loaders."""
    names = ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pytorch_lightning\..*|lightning_fabric\..*")
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


@_quiet()
def trainer_of(
    config: Mapping[str, Any], folder: Path, callbacks: Sequence[pl.Callback], loggers: Sequence[Logger] = ()
) -> pl.Trainer:
    """Lightning's trainer for one epoch, which is the whole budget; it writes nothing of its own.

    Raises:
        ConfigError: the machine has not what `trainer` asks for.
    """
    try:
        trainer: pl.Trainer = build(config["trainer"])(
            logger=list(loggers),
            callbacks=list(callbacks),
            max_epochs=1,
            default_root_dir=folder,
            enable_checkpointing=False,
            enable_progress_bar=any(isinstance(each, pl.callbacks.ProgressBar) for each in callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            # never SLURM's, which would requeue from inside a signal's handler
            plugins=[TorchElasticEnvironment() if world() > 1 else LightningEnvironment(), InPlace()],
        )
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(f"trainer: {error}: try trainer=auto or trainer=cpu") from error
    # on several devices Lightning asks before every batch, by a GPU's tensor that is read at once, whether a signal
    # came to the first: the GPUs would idle, and `Preemption` asks on the CPU; versions that do not ask lose nothing
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    # nor may Lightning's own handler exchange anything before `Preemption` takes over, while others are elsewhere
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


@_quiet()
def fit(
    trainer: pl.Trainer, module: TrainingModule, data: ImageDataModule, seed: int, checkpoint: Path | None = None
) -> None:
    """Trains to the end of the budget, from a checkpoint if there is one.

    Raises:
        KeyboardInterrupt: the user stopped it.
        TrainingError: anomaly detection met a gradient that is nan, or another process is gone.
    """
    # building judges and loggers may have drawn random numbers: training starts from the seed alone
    pl.seed_everything(seed, workers=True, verbose=False)
    try:
        with reaching_others():
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as stop:
        if not trainer.interrupted or isinstance(stop, Stopped):
            raise
        # Lightning turns Ctrl-C into an exit with the signal ignored from then on
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        if "returned nan values" not in str(error):
            raise
        # trainer=debug: torch has warned already with the lines that led there
        what = first_line(error).removesuffix(".")
        raise TrainingError(f"{what} after {module.images_seen} images: its line in the code is above") from error
