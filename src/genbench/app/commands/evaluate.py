"""`genbench evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from genbench.app.build import build, load_model, open_data, resolve
from genbench.app.device import make_current, own_gpu, pick_device
from genbench.app.judging import judge_run, kept_draws, make_judge, merged, read_result
from genbench.app.paths import cache_dir
from genbench.app.show import show, show_crosswalk
from genbench.app.validate import validate_config
from genbench.app.views import views
from genbench.benchmark.rows import EXTERNAL
from genbench.core import ConfigError
from genbench.core.files import write_json
from genbench.data.dataset import ImageDataset
from genbench.data.images import ImageTable
from genbench.data.samples import read_samples
from genbench.evaluation.ranks import distributed, rank, world
from genbench.evaluation.reference import content_sha256, sha256_of_captions
from genbench.evaluation.sources import TableSource
from genbench.evaluation.store import ChunkStore
from genbench.run import Run

SOURCES = ("run", "samples", "split")
OWN = "own"
"""The likelihood that a run was trained with."""
Judged = Callable[[dict[str, Any]], tuple[dict[str, Any], Path]]
"""Judges one view of the images; gives the result and where it is kept."""


def run(config: DictConfig) -> None:
    """Judges a run, a split, or a folder, zip or npz of images under every view asked for, and keeps the results."""
    plain = resolve(config)
    validate_config(plain, "evaluate")
    if sum(plain[source] is not None for source in SOURCES) != 1:
        raise ConfigError("give one of run=FOLDER, samples=FOLDER_OR_FILE and split=train or split=test")
    asked = views(plain)
    if len(asked) > 1 and plain["out"] is not None:
        raise ConfigError("out=FILE takes one result: leave it out with also.* and protocol=crosswalk")
    with distributed(), ExitStack() as stack:
        if world() > 1 and torch.cuda.is_available():
            make_current(own_gpu())
        judged = _of_run(plain, len(asked) > 1, stack) if plain["run"] is not None else _of_images(plain)
        results = {}
        for name, view in asked.items():
            result, path = judged(view)
            results[name] = result
            if rank() == 0:
                show(result)
                print(f"kept in {path}")
        if plain["crosswalk"] and rank() == 0:
            show_crosswalk(results)


def _of_run(plain: dict[str, Any], several: bool, stack: ExitStack) -> Judged:
    if plain["name"] is not None or plain["into"] is not None:
        raise ConfigError("name and into are for samples=: a run has a name, and its own benchmark")
    source, device = Run.open(plain["run"]), pick_device(plain["device"])
    weights = plain["protocol"].get("weights", "ema")
    likelihood = None if plain["likelihood"] == OWN else plain["likelihood"]
    model = load_model(source, plain["sampler"], weights, likelihood).to(device)
    dataset = build(plain["data"]) if plain["data"] is not None else open_data(source.config)[0]
    if dataset.spec.shape != model.spec.shape:
        raise ConfigError(
            f"{source.path} makes images of shape {model.spec.shape}, but those of {dataset.name} are "
            f"{dataset.spec.shape} (channels, height, width): drop data, or name data of the run's shape"
        )
    draws = stack.enter_context(kept_draws(source))

    def judged(view: dict[str, Any]) -> tuple[dict[str, Any], Path]:
        judge = make_judge(
            dataset, view, view["batch_size"], device=device, sampler=view["sampler"], keep_images=several
        )
        bits = view["likelihood"] is not None
        result = judge_run(source, model, dataset, judge, draws, likelihood, bits)
        path = source.result_path(judge.hash)
        if view["out"] is not None:
            path = Path(view["out"])
            _write(path, result)
        return result, path

    return judged


def _of_images(plain: dict[str, Any]) -> Judged:
    if plain["data"] is None:
        raise ConfigError("images need something to be compared with: give data=..., such as data=digits")
    if plain["sampler"] is not None:
        raise ConfigError("sampler is for run=: images that exist are not drawn")
    if plain["likelihood"] not in (OWN, None):
        raise ConfigError("likelihood is for run=: images alone do not say how probable they are")
    dataset: ImageDataset = build(plain["data"])
    if plain["split"] is not None:
        table, path = dataset.table(plain["split"]), Path(f"{dataset.name}_{plain['split']}")
    else:
        path = Path(plain["samples"]).expanduser().absolute()
        table = read_samples(path, dataset.spec)
    stem = path.name if path.is_dir() else path.stem
    name, source = plain["name"] or stem, TableSource(table, str(path))
    images, labels = content_sha256(source)
    content = {"images_sha256": images, "labels_sha256": labels}
    captions = sha256_of_captions(table.caption)
    if plain["samples"] is not None:
        _check_prompts(table, dataset, str(path))
    if plain["into"] is not None and not Path(plain["into"]).is_dir():
        raise ConfigError(
            f"into={plain['into']} is no folder of a benchmark: give that of genbench benchmark's out=..."
        )
    if not set(name) - {"."} or "/" in name:
        raise ConfigError(f"name={name} cannot name a folder: give another, without slashes")

    def judged(view: dict[str, Any]) -> tuple[dict[str, Any], Path]:
        judge = make_judge(dataset, view, view["batch_size"], device=pick_device(view["device"]))
        said = {"name": name, "source": str(path), "data": dataset.name, "metrics": sorted(judge.metrics), **content}
        said["captions_sha256"] = captions
        entry = None if view["into"] is None else Path(view["into"]) / EXTERNAL / name / f"{judge.hash}.json"
        if entry is not None:
            _refuse_another(entry, str(path))
        found = {**said, **judge.evaluate(source, ChunkStore(cache_dir() / "features", content))}
        out = Path(view["out"] or path.with_name(f"{path.name}.{judge.hash}.json"))
        result = merged(_kept(out, found), found)
        _write(out, result)
        if entry is not None:
            _write(entry, merged(_kept(entry, found), found))
            if rank() == 0:
                print(f"taken into {view['into']} as {name}: genbench report runs={view['into']} shows it")
        return result, out

    return judged


def _check_prompts(samples: ImageTable, data: ImageDataset, path: str) -> None:
    """Refuses samples that were drawn for other captions than those that all others are judged by.

    Raises:
        ConfigError: naming the first.
    """
    prompts = data.table("test").caption if data.spec.captions else None
    if not prompts or samples.caption is None:
        return
    for i, caption in enumerate(samples.caption):
        if caption != prompts[i % len(prompts)]:
            raise ConfigError(
                f"{path}: sample {i} is captioned {caption!r}, and test caption {i % len(prompts)} of {data.name} is "
                f"{prompts[i % len(prompts)]!r}: draw a sample for each test caption, in their order"
            )


def _kept(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    """What was found before of the very same images under the same hash."""
    kept = read_result(path) if path.is_file() else {}
    content = ("protocol", "images_sha256", "labels_sha256", "captions_sha256")
    same = all(kept.get(key) == found[key] for key in content)
    return kept if same else {}


def _refuse_another(entry: Path, source: str) -> None:
    if entry.is_file() and (there := read_result(entry).get("source")) != source:
        raise ConfigError(f"{entry} holds the result of {there}: give these samples another name=...")


def _write(path: Path, result: dict[str, Any]) -> None:
    if rank() == 0:
        write_json(path, result)
