"""One training, from config to finished run folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from filelock import FileLock, Timeout
from omegaconf import DictConfig
from pytorch_lightning.loggers.logger import Logger

from genbench.app.budget import flops_of_run, settle_budget
from genbench.app.build import build, open_data
from genbench.app.device import make_current, release_memory, training_device
from genbench.app.first_stage import settle_first_stage, settle_scale
from genbench.app.fitting import fit, trainer_of, training_data, training_model, training_module
from genbench.app.judged import judged_under, note_judged
from genbench.app.launch import check_accelerator, check_processes
from genbench.app.manifest import manifest
from genbench.app.preview import preview
from genbench.app.rules import unfit_features
from genbench.app.same_data import deciding_images, tell_of_other_images
from genbench.app.start import settle_start
from genbench.app.text_encoder import settle_text_encoder
from genbench.app.throughput import settle_seconds
from genbench.app.trials import report_of
from genbench.core import RunError, TrainingError
from genbench.data.dataset import ImageDataset
from genbench.evaluation.ranks import from_first, rank, together, world
from genbench.identity import recipe_hash
from genbench.run import TRAIN, Run
from genbench.training.checkpoint import ResumeCheckpoint, newest
from genbench.training.jsonl import JsonlLogger
from genbench.training.module import TrainingModule
from genbench.training.numerics import numerics
from genbench.training.preemption import Preemption
from genbench.training.preview import Preview
from genbench.training.progress import Progress
from genbench.training.pruning import Pruned, Pruning
from genbench.training.recorder import Recorder
from genbench.training.replicas import reaching_others
from genbench.training.rng import kind_of_device
from genbench.training.selection import Selection
from genbench.training.snapshots import Snapshots
from genbench.training.wandb import WandbLogger
from genbench.training.watchdog import Watchdog

log = logging.getLogger(__name__)

Judge = Callable[[Run], Mapping[str, Any]]


def default_folder(config: Mapping[str, Any], images: str) -> Path:
    """runs/<data>/<name>-s<seed>-<hash of everything else that decides the weights, `images` being the fingerprint>."""
    data = str(config["data"]["_target_"]).rsplit(".", 1)[-1].lower()
    return Path("runs") / data / f"{config['name']}-s{config['seed']}-{recipe_hash(config, images)}"


def open_experiment(config: DictConfig) -> tuple[ImageDataset, dict[str, Any]]:
    """The dataset of a training's config, and the config with all that is only known on opening it filled in.

    Raises:
        ConfigError: values of the wrong type, choices that do not go together, a first stage that does not fit, a run
            to start from that is missing or unfinished, a text encoder that is not there.
        DataError: data that cannot be read or differ from what the config says.
    """
    dataset, plain, _ = _open(config)
    return dataset, plain


def _open(config: DictConfig) -> tuple[ImageDataset, dict[str, Any], float | None]:
    """An experiment, with the operations of an image where its budget had them counted."""
    dataset, plain = open_data(config)
    make_current(training_device(plain))  # encoders are read on it
    settle_text_encoder(config, dataset)
    settle_start(config)
    return dataset, *settle_budget(settle_first_stage(config, dataset), dataset)


def train(config: DictConfig, judge: Judge | None = None) -> Run:
    """Trains what the config describes, resumes it when it was interrupted, or finds it finished.

    `judge` is called with the finished run; its final numbers go into the loggers' summary, once for a protocol.

    Raises:
        GenbenchError: a config, data or run folder that cannot be used; nothing finished is touched.
        KeyboardInterrupt: the user stopped it; the run folder can be resumed.
        Pruned: it is a trial that its study stopped; the same holds.
    """
    dataset, plain, flops = _open(config)
    check_processes(plain)
    check_accelerator(plain)
    if rank() == 0 and (unfit := unfit_features(plain)):
        log.warning("this training cannot be judged as it stands: %s", unfit)
    images = deciding_images(dataset, plain)
    folder = Path(plain["run_dir"] or default_folder(plain, images[TRAIN]))
    plain = settle_seconds(settle_scale(plain, folder), dataset, folder)
    # built before the folder is made, so that values which cannot be built from leave none behind
    module = training_module(training_model(plain, dataset), plain)
    module.configure_optimizers()
    record = manifest(plain["seed"], dataset.name, images)
    if rank() == 0 and plain["run_dir"] is None:
        tell_of_other_images(folder, plain, images)
    run = from_first("make the run folder", lambda: Run.create(folder, plain, record))
    with _locked(run):
        if from_first("look at the run folder", lambda: run.finished):
            if rank() == 0:
                run.tidy()  # a kill may have come between the last file and this
                log.warning("%s is finished already: nothing to train", run.path)
            if judge is not None and (numbers := judge(run)) and judged_under(run) != numbers["final/protocol"]:
                with _tracking(run, plain) as loggers:
                    _summarise(loggers, numbers)
                note_judged(run, numbers)
            return run
        with _tracking(run, plain) as loggers:
            flops = flops_of_run(run, plain, dataset, flops) if loggers else None
            _fit(run, dataset, plain, module, loggers, flops)
            del module  # judging has the memory of the training
            release_memory()
            numbers = judge(run) if judge is not None else {}
            _summarise(loggers, numbers)
        note_judged(run, numbers)  # once they are told: killed before, the same command tells them
    return run


def _summarise(loggers: list[Logger], numbers: Mapping[str, Any]) -> None:
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.summarise(numbers)


@contextmanager
def _locked(run: Run) -> Iterator[None]:
    """The run folder as one training's own, held by the first of its processes."""
    lock = FileLock(run.path / ".lock")

    def acquire() -> None:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            # a job that was requeued, or outlived whoever submitted it; the next must not fail for that
            log.warning("another process is training in %s: waiting until it ends", run.path)
            lock.acquire(poll_interval=1.0)

    from_first("lock the run folder", acquire)
    try:
        yield
    finally:
        lock.release()


def _fit(
    run: Run,
    dataset: ImageDataset,
    config: dict[str, Any],
    module: TrainingModule,
    loggers: list[Logger],
    flops: float | None,
) -> None:
    settings, budget, model = config["training"], config["budget"], module.model
    data = training_data(dataset, config)
    recorder = Recorder(settings["log_every"], flops)
    checkpoint = ResumeCheckpoint(
        run.checkpoint, run.previous, settings["checkpoint_every"], recorder, settings.get("keep_every")
    )
    selection = Selection(run.best, settings["select"]) if settings["select"] else None
    preemption = Preemption(checkpoint)
    callbacks: list[pl.Callback] = [recorder, checkpoint, Progress(run.path.name), preemption]
    if settings["preview_every"] is not None:
        looks = preview(run, dataset, config, model, selection)
        callbacks[1:1] = [looks, *_pruning(config, looks, checkpoint)]
    if settings["ema_snapshot_every"] is not None:
        callbacks.insert(1, Snapshots(run.averages, settings["ema_snapshot_every"]))
    if settings["watchdog"] is not None:
        callbacks.append(Watchdog(settings["watchdog"], run.hang(rank())))
    with numerics(settings["matmul_precision"]):
        trainer = trainer_of(config, run.path, callbacks, loggers)
        resuming = from_first("read the checkpoint", lambda: _announce(run, module, trainer.strategy.root_device.type))
        try:
            fit(trainer, module, data, config["seed"], run.checkpoint if resuming else None)
        except Pruned:
            # its study knows that; but whoever sent a signal meanwhile wants this process to end, not the next trial
            with reaching_others():
                preemption.leave(trainer)
            raise
    if module.images_seen != budget["images"]:
        raise TrainingError(
            f"training ended after {module.images_seen} of {budget['images']} images; run the command again to go on"
        )
    seconds = module.elapsed()
    summary = {
        "images": module.images_seen,
        "seconds": round(seconds, 3),
        "images_per_second": round(module.images_seen / max(seconds, 1e-9), 1),
        "params": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "selected": selection.record if selection else None,
        "skipped": module.skips.total if module.skips is not None else 0,
    }
    # of a sharded model all put the weights together, and the first one has them
    mine = module.sharded or rank() == 0
    raw = module.raw_state_dict() if mine else {}
    averaged = module.averaged_state_dict(raw) if mine else {}
    with together("finish the run"):
        if rank() == 0:
            run.finish(selection.weights() if selection and selection.record else averaged, raw, summary)


def _pruning(config: Mapping[str, Any], looks: Preview, checkpoint: ResumeCheckpoint) -> list[pl.Callback]:
    """What tells a study of the previews, where the training is one of its trials."""
    if config["trial"] is None:
        return []
    return [Pruning(looks, checkpoint, report_of(config["trial"]) if rank() == 0 else None)]


def _announce(run: Run, module: TrainingModule, device: str) -> bool:
    """Whether there is a checkpoint to resume from, which is told and recorded; `device` is the kind to go on on."""
    state = newest(run.checkpoint, run.previous)
    if state is not None:
        images = _images_in(state, run.checkpoint, module)
        log.warning("resuming %s at %d images", run.path, images)
        if (before := state["genbench"].get("world_size", 1)) != world():
            log.warning(
                "it was trained on %d devices so far and goes on with %d: the same images in the same order and the "
                "same noise, but weights are equal up to rounding only, and dropout and couplings draw anew",
                *(before, world()),
            )
        if (kind := kind_of_device(state["genbench"]["rng"])) != device:
            log.warning(
                "it was trained on %s so far and goes on on %s: the same images in the same order, but other noise",
                *(kind, device),
            )
        JsonlLogger(run.log).append({"event": "resume", "images": images})
    elif run.log.is_file():
        # an earlier attempt died before its first checkpoint
        JsonlLogger(run.log).append({"event": "resume", "images": -1})
    return state is not None


def _images_in(state: dict[str, Any], checkpoint: Path, module: TrainingModule) -> int:
    there = {name: value.shape for name, value in state["state_dict"].items()}
    if there != {name: value.shape for name, value in module.state_dict().items()}:
        raise RunError(
            f"the checkpoint {checkpoint} belongs to another model than config.yaml describes: restore the run's own, "
            "or delete it to train from the start"
        )
    return int(state["genbench"]["images_seen"])


@contextmanager
def _tracking(run: Run, config: dict[str, Any]) -> Iterator[list[Logger]]:
    """The JSON-lines record and the logger of the config, W&B's run closed afterwards whatever happens.

    The first process writes them, the others none.
    """
    if rank() != 0:
        yield []
        return
    loggers: list[Logger] = [JsonlLogger(run.log)]
    if config["logger"]:
        loggers.append(build(config["logger"]))
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.open(run.path, config, run.path.name, config["group"], config["tags"])
    try:
        yield loggers
    finally:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                logger.close()
