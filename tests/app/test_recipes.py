"""What recipes set inside a group, and another choice of that group."""

import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from genbench.app.build import resolve
from genbench.app.cli import dispatch
from genbench.app.compose import compose
from genbench.app.paths import conf_dir
from genbench.app.validate import validate_config


def alone(group: str, choice: str) -> object:
    return OmegaConf.load(conf_dir() / group / f"{choice}.yaml")


@pytest.mark.parametrize(
    ("recipe", "group", "choice"),
    [
        ("model=text_to_image", "times", "uniform"),
        ("model=text_to_image", "optimizer", "adamw"),
        ("model=text_to_image", "sampler", "heun"),
        ("model=text_to_image", "lr_scheduler", "constant"),
        ("model=vae", "optimizer", "sgd"),
        ("experiment=shapes_32", "backbone", "dit_text"),
        ("experiment=shapes_32_places", "times", "uniform"),
        ("experiment=shapes_32_places", "data", "shapes"),
        ("experiment=cifar10_edm", "sampler", "ddim"),
        ("experiment=cifar10_ddpm", "budget", "tiny"),
    ],
)
def test_another_choice_comes_with_its_own_values(recipe, group, choice):
    config = compose("train", [recipe, f"{group}={choice}"])
    assert config[group] == alone(group, choice)
    assert compose("train", [recipe])[group] != config[group]
    validate_config(resolve(config))


def test_the_choice_that_a_recipe_was_written_for_keeps_its_values():
    usual = compose("train", ["model=text_to_image"])
    named = ["times=logit_normal", "optimizer=muon", "sampler=ddpm", "lr_scheduler=cosine"]
    assert compose("train", ["model=text_to_image", *named]) == usual
    assert (usual.times.mean, usual.optimizer.lr, usual.sampler.steps) == (1.5, 3e-3, 32)
    places = compose("train", ["experiment=shapes_32_places"])
    assert (places.times.mean, places.backbone.width, places.sampler.steps) == (3.0, 128, 32)


def test_a_recipe_that_makes_another_choice_than_the_recipe_below_it_starts_from_that_choices_values():
    config = compose("train", ["experiment=cifar10_ddpm"])  # Adam and no decay, where model=ddpm has AdamW and a cosine
    assert (config.optimizer.lr, config.lr_scheduler.warmup) == (2e-4, 640000)
    assert "weight_decay" not in config.optimizer
    assert compose("train", ["experiment=cifar10_edm", "model=ddpm"]).model.label_dropout == 0.0
    assert compose("train", ["experiment=cifar10_edm", "model=vae"]).model.get("label_dropout") is None


def test_what_the_command_line_gives_stays():
    given = ["optimizer=adamw", "optimizer.lr=0.5", "sampler=ddim", "sampler.guidance=7", "+sampler.more=1"]
    config = compose("train", ["model=text_to_image", *given])
    assert (config.optimizer.lr, config.sampler.guidance, config.sampler.more) == (0.5, 7, 1)
    assert (config.sampler.steps, config.optimizer.betas) == (50, [0.9, 0.99])
    # a key that the choice does not have is not hidden, so that it is refused
    assert compose("train", ["model=text_to_image", "times=uniform", "times.mean=2"]).times.mean == 2
    assert compose("train", ["experiment=shapes_32", "data=shapes", "data.difficulty.most=1"]).data.difficulty.most == 1
    assert compose("train", ["model=text_to_image", "times=none"]).times is None


def test_interpolations_stay_as_they_are():
    config = compose("train", ["experiment=shapes_32", "backbone=dit_text", "data.difficulty.side=16"])
    assert resolve(config)["backbone"]["spec"]["height"] == 16


def test_a_recipe_of_ones_own_is_settled_too(tmp_path: Path, monkeypatch):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n# mine\ndefaults:\n  - override /model: ddpm\n  - override /times: log_normal\n"
        "times: {mean: -3.0}\n"
    )
    monkeypatch.setattr(sys, "argv", ["genbench", "--config-dir", str(tmp_path)])
    assert compose("train", ["experiment=mine"]).times.mean == -3.0
    assert compose("train", ["experiment=mine", "times=uniform"]).times == alone("times", "uniform")


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["--resolve", "-c", "job"]])
def test_the_config_that_is_shown_is_the_one_that_is_run(monkeypatch, capsys, flags):
    arguments = ["model=text_to_image", "data=shapes", "times=uniform"]
    monkeypatch.setattr(sys, "argv", ["genbench", "train", *flags, *arguments])
    dispatch(["train", *flags, *arguments])
    shown = OmegaConf.create(capsys.readouterr().out)
    assert shown == (resolve(compose("train", arguments)) if "--resolve" in flags else compose("train", arguments))
