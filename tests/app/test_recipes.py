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
        ("experiment=shapes_32", "data", "cifar10"),
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


def test_nothing_falls_away_where_recipes_alone_choose():
    config = compose("train", ["experiment=cifar10_ddpm", "seed=3"])  # a constant rate over model=ddpm's cosine
    assert (config.optimizer.lr, config.lr_scheduler.warmup, config.sampler.steps) == (2e-4, 640000, 1000)
    assert compose("train", ["experiment=cifar10_flow"]).lr_scheduler.warmup == 5000
    assert compose("train", ["experiment=cifar10_edm", "model=ddpm"]).model.label_dropout == 0.0
    assert compose("sweep", ["model=ddpm"]).optimizer.lr == 2e-3


def test_what_other_choices_set_in_a_group_holds_for_any_choice_of_it():
    config = compose("train", ["experiment=cifar10_edm", "sampler=ddim", "first_stage=run", "first_stage.run=x"])
    assert (config.sampler.clip, config.sampler.steps) == ("none", 50)  # latents have no range


def test_what_the_command_line_gives_stays():
    given = [
        "optimizer=adamw",
        "optimizer={lr:0.5}",
        "sampler=ddim",
        "sampler.guidance=7",
        "+sampler.more=1",
        "~sampler.eta",
    ]
    config = compose("train", ["model=text_to_image", *given])
    assert (config.optimizer.lr, config.sampler.guidance, config.sampler.more) == (0.5, 7, 1)
    assert "eta" not in config.sampler
    assert (config.sampler.steps, config.optimizer.betas) == (50, [0.9, 0.99])
    # a key that the choice does not have is not hidden, so that it is refused
    assert compose("train", ["model=text_to_image", "times=uniform", "times.mean=2"]).times.mean == 2
    assert compose("train", ["experiment=shapes_32", "data=shapes", "data.difficulty.most=1"]).data.difficulty.most == 1
    assert compose("train", ["model=text_to_image", "times=none"]).times is None


@pytest.mark.parametrize("own", ["hydra/sweeper=optuna", "hydra/launcher=joblib", "hydra/job_logging=default"])
def test_choices_of_hydras_own_are_none_of_a_recipes(own):
    config = compose("train", ["model=vae", own, "optimizer=sgd"])
    assert config == compose("train", ["model=vae", "optimizer=sgd"])
    assert config.optimizer == alone("optimizer", "sgd")


def test_another_model_than_an_experiments_comes_with_its_own_choices_and_values():
    config, ect = compose("train", ["experiment=shapes_32", "model=ect"]), compose("train", ["model=ect"])
    unresolved, theirs = OmegaConf.to_container(config), OmegaConf.to_container(ect)
    for group in ("times", "optimizer", "sampler", "backbone", "model"):
        assert unresolved[group] == theirs[group], group
    assert config.data == compose("train", ["experiment=shapes_32"]).data
    assert compose("train", ["experiment=cifar10_edm", "model=vae"]).model.get("label_dropout") is None
    config = compose("train", ["experiment=shapes_32", "model=ect", "optimizer=sgd", "times.std=5"])
    assert (config.optimizer, config.times.mean, config.times.std) == (alone("optimizer", "sgd"), -1.1, 5)


def test_lists_that_the_command_line_changes_stay():
    config = compose("train", ["model=dcgan", "optimizer=adam", "optimizer.betas.0=0.5", "optimizer.lr=???"])
    assert config.optimizer.betas == [0.5, 0.999]
    assert OmegaConf.is_missing(config.optimizer, "lr")


def test_interpolations_stay_as_they_are():
    config = compose("train", ["experiment=shapes_32", "backbone=dit_text", "data.difficulty.side=16"])
    assert resolve(config)["backbone"]["spec"]["height"] == 16


def test_recipes_of_ones_own_are_settled_as_hydra_composes_them(tmp_path: Path, monkeypatch):
    (tmp_path / "experiment" / "sub").mkdir(parents=True)
    (tmp_path / "experiment" / "sub" / "deep.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /sampler@sampler: heun\n  - override /trainer: debug\n"
        "  - optional override /times: log_normal\nsampler: {steps: 7}\nbudget: {images: 64}\ntimes: {mean: -3.0}\n"
    )
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n# mine\ndefaults:\n  - override /model: ddpm\n  - override /times: log_normal\n"
        "times: {mean: -3.0}\n"
    )
    monkeypatch.setattr(sys, "argv", ["genbench", "--config-dir", str(tmp_path)])
    assert compose("train", ["experiment=mine"]).times.mean == -3.0
    assert compose("train", ["experiment=mine", "times=uniform"]).times == alone("times", "uniform")
    config = compose("train", ["experiment=sub/deep", "optimizer=sgd"])
    assert (config.sampler.steps, config.budget.images, config.times.mean) == (7, 64, -3.0)
    config = compose("train", ["experiment=sub/deep", "times=uniform"])
    assert (config.times, config.sampler.steps) == (alone("times", "uniform"), 7)
    # groups of one's own, and groups within groups
    (tmp_path / "size").mkdir()
    (tmp_path / "size" / "small.yaml").write_text("# @package _global_\nbudget: {images: 32}\n")
    config = compose("train", ["+size=small", "model=vae", "optimizer=sgd"])
    assert (config.budget.images, config.optimizer) == (32, alone("optimizer", "sgd"))
    (tmp_path / "optimizer" / "extra").mkdir(parents=True)
    for name, eps in (("one", 1), ("two", 2)):
        (tmp_path / "optimizer" / "extra" / f"{name}.yaml").write_text(f"eps: {eps}\n")
    (tmp_path / "optimizer" / "big.yaml").write_text("defaults: [extra: one]\nlr: 9\n")
    (tmp_path / "experiment" / "nest.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /optimizer: big\noptimizer: {lr: 3}\n"
    )
    assert compose("train", ["experiment=nest"]).optimizer == {"lr": 3, "extra": {"eps": 1}}
    assert compose("train", ["experiment=nest", "optimizer/extra=two"]).optimizer == {"lr": 9, "extra": {"eps": 2}}


def test_a_folder_of_configs_may_have_any_name(tmp_path: Path, monkeypatch):
    own = tmp_path / "it's, [mine]"
    (own / "times").mkdir(parents=True)
    (own / "times" / "mine.yaml").write_text("mean: 4\n")
    monkeypatch.setattr(sys, "argv", ["genbench", "--config-dir", str(own)])
    assert compose("train", ["times=mine"]).times == {"mean": 4}


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["--resolve", "-c", "job"], ["-cd", ".", "--cfg=job"]])
def test_the_config_that_is_shown_is_the_one_that_is_run(monkeypatch, capsys, flags):
    arguments = ["model=text_to_image", "data=shapes", "times=uniform"]
    monkeypatch.setattr(sys, "argv", ["genbench", "train", *flags, *arguments])
    dispatch(["train", *flags, *arguments])
    shown = OmegaConf.create(capsys.readouterr().out)
    assert shown == (resolve(compose("train", arguments)) if "--resolve" in flags else compose("train", arguments))
    dispatch(["train", *flags, "--package", "times", *arguments])
    assert OmegaConf.create(capsys.readouterr().out) == alone("times", "uniform")


def test_a_config_is_not_shown_and_run_at_once(monkeypatch, capsys):
    monkeypatch.setattr("genbench.app.commands.train.run", lambda config: pytest.fail("ran"))
    with pytest.raises(ValueError, match="Only one of --run, --multirun, --cfg"):
        dispatch(["train", "--cfg", "job", "-m", "model=vae"])
    assert capsys.readouterr().out == ""
