"""What the config of a training holds, of one or a search among them, and so that in every run folder: see `schema`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from pytorch_lightning import Trainer
from pytorch_lightning.loggers.logger import Logger
from torch.optim import Optimizer

from genbench.app.validate import LATER, Section
from genbench.conditioning.text.base import TextEncoder
from genbench.core import Count, FirstStage, GenerativeModel
from genbench.data.dataset import ImageDataset
from genbench.diffusion.couplings import Coupling
from genbench.diffusion.likelihoods import DiffusionLikelihood
from genbench.diffusion.objectives import Objective
from genbench.diffusion.samplers import DiffusionSampler
from genbench.diffusion.schedules import NoiseSchedule
from genbench.diffusion.times import TimeDensity
from genbench.diffusion.weightings import Weighting
from genbench.evaluation.protocol import Protocol
from genbench.families.autoregressive import TokenSampler
from genbench.features import FeatureExtractor
from genbench.metrics import Metric
from genbench.networks.backbone import Backbone
from genbench.sweep.search import Direction
from genbench.sweep.wandb import Method
from genbench.training.lr import LRSchedule
from genbench.training.nonfinite import NonFinite

Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


@dataclass
class Budget(Section):
    """How many images a training sees, or what they may cost, and how many at once."""

    images: Count | None
    flops: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    batch_size: Count
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None  # runs of earlier versions have none


@dataclass
class Training(Section):
    """How the one Lightning module trains, and how often it reports; clocks count images."""

    clip: Annotated[float, Field(gt=0)] | None
    ema_half_life: Annotated[float, Field(ge=0)]
    ema_rampup: Annotated[float, Field(gt=0, le=1)]
    accumulate: Count
    workers: Natural
    log_every: Count
    checkpoint_every: Count
    preview_every: Count | None
    select: Literal["fd", "kid"] | None = None  # runs of earlier versions have no such key
    keep_every: Count | None = None  # as above
    ema_snapshot_every: Count | None = None  # as above
    channels_last: bool = False  # as above
    compile: bool = False  # as above
    matmul_precision: Literal["highest", "high", "medium"] = "highest"  # as above
    activation_checkpointing: bool = False  # as above
    nonfinite: NonFinite = "stop"  # as above
    watchdog: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None  # as above


@dataclass
class TrialOf(Section):
    """The trial that a training is, by the folder of its study."""

    study: str
    number: Natural


@dataclass(kw_only=True)
class ModelConfig(Section):
    """What the config in every run folder says of a model, and of the data it is for."""

    name: str
    seed: Seed
    data: ImageDataset
    scheduler: NoiseSchedule | None
    objective: Objective | None
    sampler: DiffusionSampler | TokenSampler | None
    model: GenerativeModel
    # runs of earlier versions have none of these
    backbone: Backbone | None = None
    weighting: Weighting | None = None
    times: TimeDensity | None = None
    coupling: Coupling | None = None
    first_stage: FirstStage | None = None
    text_encoder: TextEncoder | None = None
    likelihood: DiffusionLikelihood | None = None


@dataclass(kw_only=True)
class TrainConfig(ModelConfig):
    """`genbench train`, and the config in the folder of every run that was trained here."""

    run_dir: str | None
    group: str | None
    tags: list[str]
    optimizer: Annotated[Optimizer, LATER]
    lr_scheduler: LRSchedule
    budget: Budget
    training: Training
    trainer: Annotated[Trainer, LATER]
    logger: Logger | None
    features: FeatureExtractor
    protocol: Protocol
    metric: dict[str, Metric]
    start: str | None = None  # runs of earlier versions have none
    start_sha256: str | None = None  # as above
    judge: bool = False  # as above
    trial: TrialOf | None = None  # as above


@dataclass
class SweepFile(Section):
    """What W&B is told of a sweep beside its trainings."""

    method: Method
    objective: str
    direction: Direction | None
    name: str | None
    runs: Count | None
    out: str
    searched: list[str]


@dataclass(kw_only=True)
class SweepConfig(TrainConfig):
    """`genbench sweep`."""

    sweep: SweepFile
