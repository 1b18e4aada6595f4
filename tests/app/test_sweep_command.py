"""`genbench sweep`: a file that W&B's own schema accepts, and whose trainings could begin."""

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from genbench.app import cli
from genbench.app.build import open_data
from genbench.app.compose import compose

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sweeps

SEARCHED = (
    "optimizer.lr=tag(log,interval(1e-4,1e-2))",
    "training.ema_rampup=interval(0.01,0.5)",
    "model.latent=8,16",
    "model.channels=choice([8,16],[16,32])",
    "model.conditional=true,false",
    "budget.batch_size=range(16,65,16)",
    "budget.images=int(interval(64,640))",
    "seed=tag(log,int(interval(1,50)))",
)


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs `genbench sweep` in an empty folder; the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["genbench", "sweep", *arguments])
        try:
            return cli.main()
        except SystemExit as stop:
            return stop.code

    return run


def suggested(file: dict[str, Any]) -> list[str]:
    """The command line of a training that W&B would start, without the program."""
    found = sweeps.next_run(file, [])
    # as it reaches the agent, which is JSON
    args = {
        key: {"value": getattr(node["value"], "item", lambda v=node["value"]: v)()}
        for key, node in found.config.items()
    }
    formats = create_sweep_command_args({"args": args})
    words: list[str] = []
    for word in file["command"]:
        words += formats[word[2:-1]] if word == "${args_no_hyphens}" else [word]
    return words[words.index("train") + 1 :]


def test_the_file_is_what_wandbs_schema_and_our_trainings_take(sweep, tmp_path: Path, capsys) -> None:
    assert sweep("model=vae", *SEARCHED, "sweep.objective=accuracy", "sweep.name=first") == 0
    out = capsys.readouterr().out
    assert out == (
        "sweep.yaml is written; running it needs a W&B server: logger.mode=online, or `wandb sweep sweep.yaml` and its "
        "agent\n"
    )
    file = yaml.safe_load((tmp_path / "sweep.yaml").read_text())
    assert sweeps.schema_violations_from_proposed_config(file) == []
    assert file["metric"] == {"name": "final/accuracy", "goal": "maximize"}
    assert (file["method"], file["name"], file["project"]) == ("bayes", "first", "genbench")
    parameters = file["parameters"]
    assert parameters["optimizer.lr"] == {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2}
    assert parameters["model.channels"] == {"values": ["[8,16]", "[16,32]"]}
    assert parameters["budget.batch_size"] == {"values": [16, 32, 48, 64]}
    assert file["command"][:4] == ["${env}", "genbench", "train", "model=vae"]
    for _ in range(3):
        config = compose("train", suggested(file))
        open_data(config)
        assert config.judge is True
        assert config.logger.mode == "online"
        assert 1e-4 <= config.optimizer.lr <= 1e-2
        assert list(config.model.channels) in ([8, 16], [16, 32])


def test_trainings_find_the_users_own_choices(sweep, tmp_path: Path) -> None:
    own = tmp_path / "own" / "optimizer"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("_target_: torch.optim.SGD\n_partial_: true\nlr: 0.1\n")
    assert sweep("--config-dir", "own", "model=vae", "optimizer=mine", "seed=1,2") == 0
    file = yaml.safe_load((tmp_path / "sweep.yaml").read_text())
    flags = ["--config-dir", str(tmp_path / "own")]
    assert file["command"][:7] == ["${env}", "genbench", "train", *flags, "model=vae", "optimizer=mine"]


def test_another_sweep_is_not_overwritten(sweep, tmp_path: Path, capsys) -> None:
    assert sweep("model=vae", "seed=1,2", "sweep.method=grid") == 0
    before = (tmp_path / "sweep.yaml").read_bytes()
    assert sweep("model=vae", "seed=1,2", "sweep.method=grid") == 0
    assert sweep("model=vae", "seed=1,2,3", "sweep.method=grid") == 1
    assert capsys.readouterr().err == "error: sweep.yaml holds another sweep: choose another sweep.out\n"
    assert (tmp_path / "sweep.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed=1"], "error: nothing is searched: give values to choose from"),
        (
            ["seed=1,2", "sweep.objective=cas"],
            "error: sweep.objective=cas is not measured by protocol digits: choose one of ",
        ),
        (
            ["seed=1,2", "model.conditional=false", "sweep.objective=accuracy"],
            "error: sweep.objective=accuracy is nothing that model=ddpm has: choose one of bits_per_dim, fd",
        ),
        (["seed=1,2", "logger=none"], "error: W&B's sweeps read their scores from W&B: leave logger=none out"),
        (
            ["optimizer.lr=interval(1,2)", "sweep.method=grid"],
            "error: optimizer.lr=interval(1.0,2.0): a grid takes lists",
        ),
        (["sed=1,2"], "error: 'sed' is no key of train: did you mean seed?"),
        (["seed=1,2", "sweep.method=best"], "error: sweep.method = \"best\": expected 'bayes', 'grid' or 'random'"),
        (["seed=1,2", "judge=false"], "error: judge is each trial's own: leave it out"),
        (
            ["seed=1,2", "sweep.objective=auth"],
            "error: sweep.objective=auth has no better end that is known: give direction",
        ),
    ],
)
def test_what_could_not_run_is_refused(sweep, tmp_path: Path, capsys, arguments: list[str], message: str) -> None:
    code = sweep(*arguments)
    said = f"{code}\n{capsys.readouterr().err}"
    assert message in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_with_a_server_the_sweep_is_created_and_an_agent_started(sweep, monkeypatch, tmp_path: Path, capsys) -> None:
    told: list[Any] = []
    monkeypatch.setattr("wandb.sweep", lambda file, **where: told.append((file, where)) or "abc")
    monkeypatch.setattr("wandb.agent", lambda identity, **how: told.append((identity, how)))
    assert sweep("model=vae", "seed=1,2", "logger.mode=online", "logger.project=mine", "sweep.runs=2") == 0
    file = yaml.safe_load((tmp_path / "sweep.yaml").read_text())
    where = {"entity": None, "project": "mine"}
    assert told == [(file, where), ("abc", {**where, "count": 2})]

    def unreachable(file: object, **where: object) -> str:
        raise ConnectionError("no such host\nand more")

    monkeypatch.setattr("wandb.sweep", unreachable)
    assert sweep("model=vae", "seed=1,2", "logger.mode=online", "sweep.out=two.yaml") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: two.yaml is written, but W&B did not take it (no such host): `wandb sweep two.yaml`"
    )
