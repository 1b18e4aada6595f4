"""`genbench evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genbench.app.build import build, load_model, open_data, resolve
from genbench.app.device import pick_device
from genbench.app.judging import judge_run, make_judge
from genbench.app.validate import validate_config
from genbench.benchmark.columns import distance_name, score_name
from genbench.core import ConfigError
from genbench.core.files import write_json
from genbench.data.dataset import ImageDataset
from genbench.data.samples import read_samples
from genbench.evaluation.sources import TableSource
from genbench.run import Run


def run(config: DictConfig) -> None:
    """Judges a run, or a folder or npz of images, and prints and keeps the result."""
    plain = resolve(config)
    validate_config(plain, "evaluate")
    if (plain["run"] is None) == (plain["samples"] is None):
        raise ConfigError("give either run=FOLDER or samples=FOLDER_OR_NPZ")
    result, path = _of_run(plain) if plain["run"] is not None else _of_samples(plain)
    show(result)
    print(f"kept in {path}")


def _of_run(plain: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    source = Run.open(plain["run"])
    device = pick_device(plain["device"])
    model = load_model(source).to(device)
    dataset = build(plain["data"]) if plain["data"] is not None else open_data(source.config)[0]
    if dataset.spec.shape != model.spec.shape:
        raise ConfigError(
            f"{source.path} makes images of shape {model.spec.shape}, but those of {dataset.name} are "
            f"{dataset.spec.shape} (channels, height, width): drop data, or name data of the run's shape"
        )
    judge = make_judge(dataset, plain, plain["batch_size"], device=device)
    result = judge_run(source, model, dataset, judge)
    path = source.result_path(judge.hash)
    if plain["out"] is not None:
        path = Path(plain["out"])
        write_json(path, result)
    return result, path


def _of_samples(plain: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    if plain["data"] is None:
        raise ConfigError("samples need something to be compared with: give data=..., such as data=digits")
    dataset: ImageDataset = build(plain["data"])
    path = Path(plain["samples"]).expanduser().absolute()
    source = TableSource(read_samples(path, dataset.spec), str(path))
    judge = make_judge(dataset, plain, plain["batch_size"], device=pick_device(plain["device"]))
    stem = path.name if path.is_dir() else path.stem
    result = {"name": plain["name"] or stem, "source": str(path), **judge.evaluate(source)}
    out = Path(plain["out"] or path.with_name(f"{stem}.{judge.hash}.json"))
    write_json(out, result)
    return result, out


def show(result: dict[str, Any]) -> None:
    """Prints the numbers of a result with their protocol."""
    features = result["features"]
    for key, title in (
        ("fd", distance_name(features)),
        ("is", score_name(features)),
        ("accuracy", "accuracy"),
        ("bits_per_dim", "bits/dim"),
    ):
        value, deviation = result.get(key), result.get(f"{key}_std")
        if value is not None:
            kind = f" ({result['likelihood']})" if key == "bits_per_dim" else ""
            print(f"{title:>12}: {value:.4f}{f' +- {deviation:.4f}' if deviation else ''}{kind}")
    if result.get("nfe"):
        print(f"{'cost':>12}: {result['nfe']:.0f} evaluations/image, {result['sample_seconds_per_1k']:.2f} s per 1 000")
    print(f"{'protocol':>12}: {result['protocol']}, {result['samples']} samples, {len(result['repeats'])} seeds")
