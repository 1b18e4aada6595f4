"""conf/: everything shipped composes, says the same as the constructors, and yields to the command line."""

import inspect
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from genbench.app import cli
from genbench.app.compose import compose
from genbench.app.listing import groups
from genbench.app.paths import conf_dir
from genbench.app.rules import nodes
from genbench.app.signatures import locate
from genbench.core import ConfigError

# the benchmark has a config of its own, metrics come with a protocol, and experiments have tests of their own
ELSEWHERE = ("benchmark", "metric", "experiment")
IN_TRAIN = [(g, c) for g, found in groups([conf_dir()]).items() for c in found if g not in ELSEWHERE]


def composed(*overrides: str) -> dict:
    return OmegaConf.to_container(compose("train", overrides), resolve=True)


@pytest.mark.parametrize(("group", "choice"), IN_TRAIN)
def test_every_choice_of_every_group_composes(train, group, choice):
    config = train(f"{group}={choice}")
    expected = nodes(group)[choice]
    if expected is None:
        assert config[group] is None
    elif group != "model":
        # a recipe may lay a value of its own over a choice's
        assert "defaults" in expected or config[group].get("_target_") == expected.get("_target_")
        assert set(config[group]) >= set(expected) - {"defaults"}
    else:
        assert (config["name"], config["model"]["_target_"]) == (choice, expected["_target_"])


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_composes(command):
    assert OmegaConf.to_container(compose(command))


def test_no_file_of_conf_is_left_out():
    known = {f"{command}.yaml" for command in cli.COMMANDS}
    assert {p.name for p in conf_dir().glob("*.yaml")} == known


@pytest.mark.parametrize(
    "group",
    [
        "model",
        "backbone",
        "text_encoder",
        "weighting",
        "times",
        "coupling",
        "scheduler",
        "objective",
        "sampler",
        "lr_scheduler",
        "logger",
        "trainer",
        "optimizer",
    ],
)
def test_every_argument_of_our_constructors_can_be_overridden(group):
    """Hydra changes only what a yaml names, and a saved config must not depend on later defaults."""
    for choice, node in nodes(group).items():
        if node and node["_target_"].startswith("genbench."):
            parameters = set(inspect.signature(locate(node["_target_"])).parameters)
            later = {"params"} if node.get("_partial_") else set()
            assert set(node) - {"_target_", "_partial_"} == parameters - later, f"{group}={choice}"


def test_a_choice_on_the_command_line_beats_the_recipes(train):
    assert train("model=ddpm")["scheduler"]["_target_"].endswith("Cosine")
    config = train("model=ddpm", "scheduler=linear", "sampler=ddpm")
    assert config["model"]["schedule"] == config["scheduler"] == train("scheduler=linear")["scheduler"]
    assert config["model"]["schedule"]["_target_"].endswith("Linear")
    assert config["model"]["sampler"]["_target_"].endswith("DDPM")
    # in either order
    assert train("optimizer=sgd", "model=dcgan")["optimizer"]["_target_"] == "torch.optim.SGD"


def test_a_value_on_the_command_line_beats_the_recipes(monkeypatch, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        "# @package _global_\n# mine\ndefaults: [vae]\nname: mine\n"
        "budget: {batch_size: 256}\ntraining: {clip: 3.0}\noptimizer: {lr: 0.5}\n"
    )
    monkeypatch.setattr("sys.argv", ["genbench", "--config-dir", str(tmp_path)])
    recipe = composed("model=mine")
    assert (recipe["budget"]["batch_size"], recipe["training"]["clip"], recipe["optimizer"]["lr"]) == (256, 3.0, 0.5)
    assert composed("model=mine", "budget=tiny")["budget"] == composed("budget=tiny")["budget"]
    ours = composed("model=mine", "budget.batch_size=8", "training.clip=null", "optimizer.lr=1e-4")
    assert (ours["budget"]["batch_size"], ours["training"]["clip"], ours["optimizer"]["lr"]) == (8, None, 1e-4)


def test_an_experiment_beats_the_recipe_and_yields_to_the_command_line(monkeypatch, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "try.yaml").write_text(
        "# @package _global_\n# a try\ndefaults: [override /model: dcgan]\nname: tried\nseed: 7\nmodel: {latent: 5}\n"
    )
    monkeypatch.setattr("sys.argv", ["genbench", "--config-dir", str(tmp_path)])
    config = composed("experiment=try", "seed=8")
    assert (config["name"], config["seed"], config["model"]["latent"]) == ("tried", 8, 5)
    assert config["optimizer"]["betas"] == [0.0, 0.99]


def test_unknown_choice_and_key_are_config_errors():
    with pytest.raises(ConfigError, match=r"^no model 'nope': choose one of dcgan, .*vae$"):
        compose("train", ["model=nope"])
    with pytest.raises(ConfigError, match=r"^'budgt' is no key of train: did you mean budget\?$"):
        compose("train", ["budgt.images=1"])


def test_composing_inside_a_running_command_leaves_it_as_it_was(command, monkeypatch):
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    seen = []

    def run(config):
        before = GlobalHydra.instance().hydra, HydraConfig.get().job.config_name
        seen.append(compose("train", ["model=vae", "seed=5"]))
        assert (GlobalHydra.instance().hydra, HydraConfig.get().job.config_name) == before

    command("benchmark", run)
    monkeypatch.setattr("sys.argv", ["genbench", "benchmark", "-m", "out=a,b"])
    assert cli.main() == 0
    assert [(c.name, c.seed) for c in seen] == [("vae", 5)] * 2


def test_nothing_is_written_while_composing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compose("train")
    assert list(Path(tmp_path).iterdir()) == []


def test_debugging_is_short_unless_told_otherwise():
    assert composed("trainer=debug")["budget"] == composed("budget=tiny")["budget"]
    assert composed("trainer=debug", "budget=default")["budget"] == composed()["budget"]
    assert composed("trainer=debug", "budget.images=77")["budget"]["images"] == 77
