"""What each command's config holds: its annotations are what `validate` checks.

A field whose annotation is a class is a node with a `_target_` that must build one; a `Section` is a node of
plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from genbench.app.schema_training import Natural, Seed, SweepConfig, TrainConfig
from genbench.app.validate import Section
from genbench.core import Count
from genbench.data.dataset import ImageDataset
from genbench.data.shards import OnError
from genbench.diffusion.likelihoods import DiffusionLikelihood
from genbench.diffusion.samplers import DiffusionSampler
from genbench.evaluation.protocol import Protocol
from genbench.families.autoregressive import TokenSampler
from genbench.features import FeatureExtractor
from genbench.metrics import Metric


@dataclass
class SampleConfig(Section):
    """`genbench sample`."""

    run: str
    n: Count
    labels: list[Natural] | None
    prompt: str | None
    prompts: str | None
    sampler: DiffusionSampler | TokenSampler | None
    weights: Literal["ema", "raw"] | float
    seed: Seed
    batch_size: Count
    out: str | None
    device: str


@dataclass
class EvaluateConfig(Section):
    """`genbench evaluate`."""

    run: str | None
    samples: str | None
    split: Literal["train", "test"] | None
    name: str | None
    data: ImageDataset | None
    sampler: DiffusionSampler | TokenSampler | None
    likelihood: DiffusionLikelihood | Literal["own"] | None
    reference: str | None
    also: dict[str, str | None]
    crosswalk: list[str] | None
    into: str | None
    features: FeatureExtractor
    protocol: Protocol
    metric: dict[str, Metric]
    batch_size: Count
    out: str | None
    device: str


@dataclass
class Benchmark(Section):
    """A choice of the group `benchmark`."""

    name: str
    seeds: list[Seed]
    cell: dict[str, Any]
    models: dict[str, dict[str, Any]]
    samplers: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class BenchmarkConfig(Section):
    """`genbench benchmark`."""

    benchmark: Benchmark
    out: str | None
    only: str | None
    cell: dict[str, Any]


@dataclass
class ReportConfig(Section):
    """`genbench report`."""

    runs: str | list[str]
    out: str | None


@dataclass
class ExportConfig(Section):
    """`genbench export`."""

    run: str
    format: Literal["diffusers"]
    out: str
    sampler: DiffusionSampler | TokenSampler | None
    weights: Literal["ema", "raw"] | float


@dataclass
class PlayConfig(Section):
    """`genbench play`."""

    run: str
    weights: Literal["ema", "raw"] | float
    port: Annotated[int, Field(ge=0, lt=2**16)]
    device: str


@dataclass
class ImportDiffusersConfig(Section):
    """`genbench import diffusers`."""

    folder: str
    data: ImageDataset | None
    run_dir: str | None


@dataclass
class FeaturesFitConfig(Section):
    """`genbench features fit`."""

    data: ImageDataset | None
    epochs: Count | None
    seed: Seed
    out: str | None


@dataclass
class ReferenceExportConfig(Section):
    """`genbench reference export`."""

    data: ImageDataset | None
    features: FeatureExtractor
    split: Literal["train", "test"]
    out: str
    batch_size: Count
    device: str


@dataclass
class DataPackConfig(Section):
    """`genbench data pack`."""

    source: str
    out: str
    shard_images: Count
    shard_mb: Count
    caption_column: str
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    on_error: OnError


@dataclass
class DataIndexConfig(Section):
    """`genbench data index`."""

    root: str
    train: str
    test: str
    on_error: OnError


SCHEMAS: dict[str, type[Section]] = {
    "train": TrainConfig,
    "sweep": SweepConfig,
    "sample": SampleConfig,
    "evaluate": EvaluateConfig,
    "benchmark": BenchmarkConfig,
    "report": ReportConfig,
    "export": ExportConfig,
    "play": PlayConfig,
    "import_diffusers": ImportDiffusersConfig,
    "features_fit": FeaturesFitConfig,
    "reference_export": ReferenceExportConfig,
    "data_pack": DataPackConfig,
    "data_index": DataIndexConfig,
}
