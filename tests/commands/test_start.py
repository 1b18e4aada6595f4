"""`start=RUN`: trainings that start from the weights of another, and those that cannot."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import Train, command

from genbench.core import ConfigError, RunError
from genbench.features.files import sha256_of
from genbench.run import Run

EDM = ("scheduler=edm", "objective=edm", "backbone.channels=[8,16]")


@pytest.fixture
def teacher(finished: Train) -> Run:
    return finished("ddpm", *EDM)


def test_training_starts_from_the_judged_weights(teacher: Run, tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(teacher.path.parent)
    run = tiny("ect", "backbone.channels=[8,16]", f"start={teacher.path.name}", "optimizer.lr=0", "budget.images=64")
    there, here = load_file(teacher.weights), load_file(run.weights)
    assert there.keys() == here.keys()
    assert all(torch.equal(value, here[name]) for name, value in there.items())
    assert run.config.start == str(teacher.path)


def test_a_tuned_run_needs_its_start_no_more(teacher: Run, tiny: Train, tmp_path: Path) -> None:
    run = tiny("ect", "backbone.channels=[8,16]", f"start={teacher.path}", "budget.images=128")
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace(str(teacher.path), str(tmp_path / "gone")))
    command("evaluate", f"run={run.path}", "protocol=quick", "metric=[fd]", f"out={tmp_path / 'r.json'}")
    assert json.loads((tmp_path / "r.json").read_text())["nfe"] == 2.0


def test_the_start_counts_by_its_weights_wherever_they_lie(teacher: Run, tiny: Train, tmp_path: Path) -> None:
    moved = Run(shutil.copytree(teacher.path, tmp_path / "moved"))
    from_here = ("backbone.channels=[8,16]", "budget.images=64", f"start={moved.path}")
    run = tiny("ect", *from_here)
    assert run.config.start_sha256 == sha256_of(teacher.weights)
    # finished, and found so from the other place
    assert tiny("ect", *from_here[:2], f"start={teacher.path}").config.start == str(moved.path)

    save_file({name: 2.0 * value for name, value in load_file(moved.weights).items()}, moved.weights)
    others = sha256_of(moved.weights)
    with pytest.raises(RunError, match=rf"differs in start: {run.config.start_sha256} there, {others} here: choose"):
        tiny("ect", *from_here)
    with pytest.raises(ConfigError, match=rf"its weights have sha256 {others}, not start_sha256=0123"):
        tiny("ect", *from_here, "start_sha256='0123'")


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("model=ect",), r"another architecture: use backbone\.channels=\[8,16\]"),
        (("model=ect", "backbone=dit_digits", "objective=v"), r"use backbone=unet objective=edm"),
        (("model=ect", "backbone.channels=[8,16]", "scheduler.sigma_max=10"), r"use scheduler\.sigma_max=80\.0$"),
        (("model=ddpm", *EDM, "model.conditional=false"), r"use model\.conditional=True"),
        (("model=vae",), r"it holds a model=ddpm, which is of another family"),
    ],
)
def test_another_architecture_is_refused(
    overrides: tuple[str, ...], named: str, teacher: Run, tiny: Train, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=named) as refused:
        tiny(overrides[0].removeprefix("model="), *overrides[1:], f"start={teacher.path}")
    assert str(refused.value).startswith(f"start={teacher.path} cannot be used: ")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_missing_runs_and_other_images_are_refused(teacher: Run, tiny: Train) -> None:
    with pytest.raises(ConfigError, match=r"start=.*nowhere cannot be used: no run folder"):
        tiny("ect", "start=nowhere")
    path = teacher.path / "config.yaml"
    before = path.read_text()
    try:
        path.write_text(before.replace("height: 8", "height: 28"))
        with pytest.raises(ConfigError, match=r"images of 1x28x8 and 10 classes, but the data have 1x8x8 and 10"):
            tiny("ect", "backbone.channels=[8,16]", f"start={teacher.path}")
    finally:
        path.write_text(before)


@pytest.mark.slow
def test_one_step_of_a_tuned_run_beats_one_step_of_its_teacher(tiny: Train, tmp_path: Path) -> None:
    recipe = ("weighting=edm", "times=log_normal", "budget.images=30000", "budget.batch_size=128")
    teacher = tiny("ddpm", *EDM[:2], *recipe, folder="teacher")
    tuned = tiny("ect", f"start={teacher.path}", "budget.images=15000", "budget.batch_size=128")
    found = {}
    for run, sampler in ((teacher, ("sampler=ddim", "sampler.steps=1")), (tuned, ("sampler.levels=[]",))):
        chosen = ("sampler=consistency", *sampler) if run is tuned else sampler
        out = tmp_path / f"{run.path.name}.json"
        command("evaluate", f"run={run.path}", *chosen, "protocol=quick", "metric=[fd]", f"out={out}")
        result = json.loads(out.read_text())
        assert result["nfe"] == 1.0
        found[run.path.name] = result["fd"]
    assert found["run"] < 0.85 * found["teacher"]
