"""`genbench benchmark`."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genbench.app import launch
from genbench.app.build import build, load_model, open_data, resolve
from genbench.app.collect import CONTROLS, FAILURE
from genbench.app.compose import compose
from genbench.app.device import training_device
from genbench.app.fitting import training_module
from genbench.app.judged import final_numbers
from genbench.app.judging import Variation, judge_run, kept_draws, make_judge, read_result
from genbench.app.reporting import report
from genbench.app.same_data import deciding_images
from genbench.app.sheets import sheets_are_there
from genbench.app.training import open_experiment, train
from genbench.app.validate import validate_config
from genbench.benchmark.matrix import Cell, cells, written
from genbench.core import ConfigError, GenbenchError, RunError
from genbench.core.errors import first_line
from genbench.core.files import write_json
from genbench.data.dataset import ImageDataset
from genbench.evaluation import Judge
from genbench.evaluation.controls import controls
from genbench.evaluation.ranks import distributed, rank
from genbench.processes import run_command
from genbench.run import Run

log = logging.getLogger(__name__)

Ways = Mapping[str, Mapping[str, Any]]
"""By name, settings of the sampler with which every trained model is drawn from once more, for a row of its own."""
JUDGED_BY = ("data", "features", "protocol", "metric")
"""What all cells must share, so that one judge can compare them."""


def run(config: DictConfig) -> None:
    """Trains and judges every cell that is not done yet, then prints the table and writes the report.

    Raises:
        GenbenchError: a mistake in any cell's config; nothing has been trained.
        RunError: cells failed; the others are done and the report is written.
    """
    plain = resolve(config)
    validate_config(plain, "benchmark")
    benchmark = plain["benchmark"]
    folder = Path(plain["out"] or Path("runs") / "benchmarks" / benchmark["name"])
    shared = {"group": benchmark["name"], **benchmark["cell"]}
    todo = cells(benchmark["models"], benchmark["seeds"], shared, plain["cell"], folder / "cells")
    if (only := plain["only"]) is not None:
        every = ", ".join(cell.folder.name for cell in todo)
        todo = [cell for cell in todo if cell.folder.name == only]
        if not todo:
            raise ConfigError(f"only={only}: {benchmark['name']} has the cells {every}: choose one of them")
    launch.join_srun()
    if only is None and launch.is_started():
        raise ConfigError(
            "genbench benchmark starts the processes of its cells itself: give it without torchrun or srun"
        )
    configs = [_composed(cell) for cell in todo]
    jobs = list(zip(todo, configs, strict=True))
    ways = benchmark.get("samplers") or {}
    if only is not None:
        if launch.handed_over(resolve(configs[0]), "benchmark"):
            return
        with distributed():
            _check(todo, configs, ways)
            dataset, judge, device = _judgement(configs[0])
            if not _done(*jobs[0], dataset, judge, device, ways):
                raise RunError(f"cell {only} failed; its error is above")
        return
    _check(todo, configs, ways)
    dataset, judge, device = _judgement(configs[0])
    _controls(folder, dataset, judge)
    if _launcher() == "basic" and all(launch.devices(resolve(each)) == 1 for each in configs):
        failed = [cell for cell, each in jobs if not _done(cell, each, dataset, judge, device, ways)]
    else:
        _start([cell.folder.name for cell, each in jobs if not _judged(cell, each, judge, ways)])
        failed = [cell for cell, each in jobs if not _judged(cell, each, judge, ways)]
    seeds = ", ".join(map(str, benchmark["seeds"]))
    report([folder], folder, f"{benchmark['name']}: {len(benchmark['models'])} models, training seeds {seeds}")
    if failed:
        names = ", ".join(cell.folder.name for cell in failed)
        raise RunError(f"{len(failed)} of {len(todo)} cells failed ({names}): mend the cause and run the command again")


@contextmanager
def _told_with(cell: Cell) -> Iterator[None]:
    """A mistake is told with the cell that has it."""
    try:
        yield
    except GenbenchError as error:
        raise type(error)(f"cell {cell.folder.name}: {error}") from error


def _composed(cell: Cell) -> DictConfig:
    with _told_with(cell):
        return compose("train", [*cell.overrides, f"run_dir={written(str(cell.folder))}"])


def _judgement(config: DictConfig) -> tuple[ImageDataset, Judge, torch.device]:
    """What a cell's model is judged on, by whom and where."""
    dataset, plain = open_data(config)
    device = training_device(plain)
    return dataset, make_judge(dataset, plain, device=device), device


def _check(todo: Sequence[Cell], configs: Sequence[DictConfig], ways: Ways) -> None:
    """Finds the mistakes of every cell before the first is trained, each told with its cell."""
    yardstick: dict[str, Any] = {}
    images: dict[bool, dict[str, str]] = {}  # by whether a cell selects; reading them takes a while
    for cell, config in zip(todo, configs, strict=True):
        with _told_with(cell):
            dataset, plain = open_experiment(config)
            training_module(build(plain["model"]), plain).configure_optimizers()
            if _launcher() == "slurm":
                launch.check_tasks(plain, HydraConfig.get().launcher)
            for variation in _variations(plain, ways):
                build(plain["model"] | {"sampler": variation.sampler})
            # whether training mirrors the images changes nothing they are compared with
            judged = plain | {"data": {key: value for key, value in plain["data"].items() if key != "flip"}}
            for key in JUDGED_BY:
                if judged[key] != yardstick.setdefault(key, judged[key]):
                    raise ConfigError(
                        f"another {key} than {todo[0].model} has: a benchmark compares on one; give it to all in "
                        "benchmark.cell, or make a benchmark of its own"
                    )
            if cell.folder.is_dir() and any(cell.folder.iterdir()):
                run = Run.open(cell.folder)
                run.require_same(plain)
                selects = plain["training"]["select"] is not None
                if selects not in images:
                    images[selects] = deciding_images(dataset, plain)
                run.require_same_images(images[selects])


def _controls(folder: Path, dataset: ImageDataset, judge: Judge) -> None:
    path = folder / CONTROLS / f"{judge.hash}.json"
    made_of = {
        "data": dataset.name,
        "train": dataset.table("train").fingerprint(),
        "metrics": sorted(judge.metrics),
    }
    kept = read_result(path) if path.is_file() else {}
    if any(kept.get(key) != value for key, value in made_of.items()):
        results = controls(judge, dataset.table("train"), dataset.table("test"), dataset.name)
        write_json(path, {**made_of, "results": results})


def _variations(config: Mapping[str, Any], ways: Ways) -> list[Variation]:
    """The further ways to draw from a model: its own sampler with some of its settings replaced."""
    own = config["model"].get("sampler")
    if ways and own is None:
        raise ConfigError(
            "benchmark.samplers changes how a model draws, and this one has no sampler: leave it out, or the model"
        )
    if wrong := [name for name in ways if not re.fullmatch(r"[\w-]+", name) or name == "failed"]:
        raise ConfigError(
            f"benchmark.samplers: {wrong[0]!r} names files: use letters, digits, - and _ only, and not 'failed'"
        )
    return [Variation(name, {**own, **settings}) for name, settings in ways.items()]


def _judged(cell: Cell, config: DictConfig, judge: Judge, ways: Ways) -> bool:
    """Whether nothing of a cell is missing."""
    if not (cell.folder / "manifest.json").is_file():
        return False
    run = Run.open(cell.folder)
    names = [None, *(variation.name for variation in _variations(resolve(config), ways))]
    paths = [run.result_path(judge.hash, name) for name in names]
    return run.finished and all(path.is_file() and sheets_are_there(run, read_result(path)) for path in paths)


def _launcher() -> str:
    """What Hydra was told to start jobs with."""
    return str(HydraConfig.get().runtime.choices["hydra/launcher"]) if HydraConfig.initialized() else "basic"


def _start(names: Sequence[str]) -> None:
    """Every cell by a command of its own, which tells failures: as jobs of the launcher, or one after another here."""
    command = [sys.executable, "-m", "genbench", "benchmark"]
    named = [written(name) for name in names]
    if _launcher() != "basic":
        named, command = [",".join(named)] if named else [], [*command, "-m"]
    for each in named:
        run_command([*command, *sys.argv[1:], f"only={each}"])


def _done(
    cell: Cell, config: DictConfig, dataset: ImageDataset, judge: Judge, device: torch.device, ways: Ways
) -> bool:
    """Trains and judges a cell; a failure is written down and does not stop the others."""
    failure = cell.folder / FAILURE

    def judge_finished(run: Run) -> dict[str, Any]:
        with kept_draws(run) as draws:
            for variation in _variations(resolve(run.config), ways):
                judge_drawn(run, draws, variation)
            result = judge_drawn(run, draws, None)
        return final_numbers(result)

    def judge_drawn(run: Run, draws: Path, variation: Variation | None) -> dict[str, Any]:
        model = load_model(run, variation and dict(variation.sampler), judge.protocol.weights).to(device)
        return judge_run(run, model, dataset, judge, draws, variation=variation)

    try:
        train(config, judge_finished)
    except Exception as error:  # any cell's failure is that cell's alone
        told = str(error) if isinstance(error, GenbenchError) else traceback.format_exc()
        log.error("%s failed: %s", cell.folder.name, told)
        if cell.folder.is_dir() and rank() == 0:
            write_json(failure, {"error": first_line(error), "traceback": traceback.format_exc()})
        return False
    if rank() == 0:
        failure.unlink(missing_ok=True)
    return True
