"""From configs to a judge, and from a run to its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from genbench.app.build import build
from genbench.core import ConfigError, GenerativeModel, HasLikelihood, RunError, SeededNoise
from genbench.core.batch import Batch
from genbench.core.files import write_json
from genbench.core.pixels import to_float
from genbench.data.dataset import ImageDataset, Split
from genbench.evaluation import Judge, Protocol, Reference
from genbench.evaluation.sources import ModelSource, TableSource
from genbench.run import Run


def make_judge(
    dataset: ImageDataset,
    config: Mapping[str, Any],
    batch: int = 250,
    progress: bool = True,
    device: torch.device | str = "cpu",
    **protocol: Any,
) -> Judge:
    """The judge that `features`, `protocol` and `metric` of a config describe; `protocol` overrides its values.

    Raises:
        ConfigError: an extractor that cannot judge this data, or whose weights are not at hand.
    """
    extractor = build(config["features"]).to(device)
    extractor.check(dataset.spec)
    rules: Protocol = build({**config["protocol"], **protocol})
    splits = (config["metric"].get("is") or {}).get("splits", rules.is_splits)
    if splits != rules.is_splits:
        raise ConfigError(
            f"metric.is.splits={splits} is not what the protocol's hash says: set protocol.is_splits={splits}"
        )
    split = TableSource(dataset.table(rules.reference), f"{dataset.name} {rules.reference}")
    reference = Reference.read(split, extractor, batch, progress)
    return Judge(dataset.spec, rules, extractor, build(config["metric"]), reference, batch, progress)


def real_source(dataset: ImageDataset, judge: Judge) -> TableSource:
    """The split that is not the reference: real images, as a control."""
    split: Split = "train" if judge.protocol.reference == "test" else "test"
    return TableSource(dataset.table(split), f"{dataset.name} {split}")


def judge_run(run: Run, model: GenerativeModel, dataset: ImageDataset, judge: Judge) -> dict[str, Any]:
    """The result of a run under a judge's protocol, from its folder when it has been judged before."""
    path = run.result_path(judge.hash)
    kept = read_result(path) if path.is_file() else {}
    if kept and judge.metrics.keys() <= kept.keys():
        return kept
    # the first draw of a process pays for what later ones find ready: it is made off the clock
    ModelSource(model, "warm-up").draw(0, range(min(judge.batch, judge.protocol.samples)))
    source = ModelSource(model, run.path.name)
    result = {**kept, **judge.evaluate(source), **bits_per_dim(model, dataset, judge.progress)}
    write_json(path, result)
    return result


def read_result(path: Path) -> dict[str, Any]:
    """A result that was written before.

    Raises:
        RunError: it cannot be read.
    """
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise RunError(f"cannot read the result {path} ({error}): delete it and judge again") from error
    return result


@torch.no_grad()
def bits_per_dim(model: GenerativeModel, dataset: ImageDataset, progress: bool, batch: int = 250) -> dict[str, Any]:
    """Mean bits per dimension of the test split and its kind, or None for both without a likelihood."""
    if not isinstance(model, HasLikelihood):
        return {"bits_per_dim": None, "likelihood": None}
    table, device = dataset.table("test"), next(model.parameters()).device
    total, kind = 0.0, None
    model.eval()
    for start in tqdm(range(0, len(table), batch), desc="likelihood", leave=False, disable=not progress):
        images = table.take(range(start, min(start + batch, len(table)))).to(device)
        whole = Batch(to_float(images.image, dataset.spec.levels), images.label, images.caption, images.index)
        found = model.likelihood(whole, SeededNoise(0, images.index.tolist(), device))
        total, kind = total + float(found.bits_per_dim.double().sum()), found.kind
    return {"bits_per_dim": total / len(table), "likelihood": kind}
