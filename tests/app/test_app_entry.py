"""Commands as Hydra applications: errors in one line, exit codes, sweeps, folders, relaunched processes."""

import itertools
import sys
import warnings
from datetime import datetime
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from genbench.app import cli
from genbench.core import DataError


def genbench(monkeypatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["genbench", *arguments])
    try:
        return cli.main()
    except SystemExit as stop:
        return stop.code


def test_a_command_gets_its_config_and_leaves_no_folders(monkeypatch, command, tmp_path):
    got = []
    command("train", got.append)
    assert genbench(monkeypatch, "train", "model=vae", "seed=3", "budget.images=7") == 0
    (config,) = got
    assert (config.name, config.seed, config.budget.images) == ("vae", 3, 7)
    assert "hydra" not in config
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_one_line_and_exit_code_1(monkeypatch, command, capsys):
    def run(config):
        raise DataError("no images in x: expected at least one")

    command("train", run)
    assert genbench(monkeypatch, "train") == 1
    assert capsys.readouterr().err == "error: no images in x: expected at least one\n"


def test_a_value_that_must_be_given_is_named(monkeypatch, command, capsys):
    command("sample", lambda config: config.run)
    assert genbench(monkeypatch, "sample") == 1
    assert capsys.readouterr().err == "error: run has no value: give run=...\n"


def test_a_broken_interpolation_is_named(monkeypatch, command, capsys):
    command("train", lambda config: OmegaConf.to_container(config, resolve=True))
    assert genbench(monkeypatch, "train", "model.spec=${data.facts}") == 1
    err = capsys.readouterr().err
    assert err.startswith("error: model.spec: Interpolation key 'data.facts' not found")
    assert "Traceback" not in err


def test_an_unforeseen_error_keeps_its_traceback(monkeypatch, command, capsys):
    def run(config):
        raise ZeroDivisionError("a bug")

    command("train", run)
    assert genbench(monkeypatch, "train") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_warning_is_a_line_without_the_code_that_gave_it(monkeypatch, command, capsys):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    command("train", lambda config: warnings.warn("few images", stacklevel=1))
    warnings.simplefilter("always")
    assert genbench(monkeypatch, "train") == 0
    assert capsys.readouterr().err == "warning: few images\n"


def test_interruption_is_exit_code_130(monkeypatch, command, capsys):
    def run(config):
        raise KeyboardInterrupt

    command("train", run)
    assert genbench(monkeypatch, "train") == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_sweep_finishes_its_other_jobs_after_a_failure(monkeypatch, command, capsys, tmp_path):
    finished = []

    def run(config):
        if config.seed == 2:
            raise DataError("seed 2 is unlucky")
        finished.append((config.name, config.seed))

    command("train", run)
    assert genbench(monkeypatch, "train", "-m", "model=vae,ddpm", "seed=1,2") == 1
    assert finished == [("vae", 1), ("ddpm", 1)]
    err = capsys.readouterr().err
    assert "error: job 1 (model=vae,seed=2): seed 2 is unlucky" in err
    assert "error: job 3 (model=ddpm,seed=2): seed 2 is unlucky" in err
    assert "Traceback" not in err
    assert [p.parent.name for p in tmp_path.glob("*/*/*")] == ["multirun"]


def test_two_sweeps_of_one_second_have_a_folder_each(monkeypatch, command, tmp_path):
    class Clock(datetime):
        ticks = itertools.count()

        @classmethod
        def now(cls):
            return cls(2026, 1, 2, 3, 4, 5, next(cls.ticks))

    monkeypatch.setattr("hydra.core.utils.datetime", Clock)
    command("train", lambda config: None)
    for _ in range(2):
        assert genbench(monkeypatch, "train", "-m", "seed=1,2") == 0
    assert [path.name.rpartition("-")[0] for path in (tmp_path / "runs" / "multirun").iterdir()] == [
        "2026-01-02_03-04-05",
        "2026-01-02_03-04-05",
    ]


def test_a_wrong_choice_in_a_sweep_is_found_before_any_job_runs(monkeypatch, command, capsys):
    command("train", lambda config: pytest.fail("ran"))
    assert "no model 'nope': choose one of dcgan, ddpm" in str(genbench(monkeypatch, "train", "-m", "model=vae,nope"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "modle=vae"], "error: 'modle' is no key of train: did you mean model?"),
        (["train", "budget.imgs=3"], "error: 'imgs' is no key of budget: did you mean images?"),
        (["train", "model=vae", "model.steps=3"], "error: 'steps' is no key of model; it has _target_, spec"),
        (["sample", "run=x", "sampler.steps=3"], "error: sampler.steps needs a choice of sampler first"),
        (["train", "seed"], "error: seed has no value: write seed=..."),
        (["train", "seed=1,2"], "error: seed=1,2 is several values: add -m to run each, or write a list, seed=[1,2]"),
        (["train", "model=vae", "model.channels=[8"], "error: cannot read model.channels=[8 (no viable alternative"),
        (["train", "--config-dir", ".", "~seeed"], "error: Could not delete from config. 'seeed' does not exist."),
        (["benchmark", "protocol=quick"], "no choice of protocol; +cell.protocol=... gives it to every cell"),
    ],
)
def test_mistyped_overrides_are_explained_in_a_line(monkeypatch, command, arguments, message):
    command(arguments[0], lambda config: pytest.fail("ran"))
    told = str(genbench(monkeypatch, *arguments))
    assert message in told
    assert "\n" not in told


def test_a_mistyped_key_of_a_sweep_is_explained_after_hydras_own_words(monkeypatch, command, capsys):
    command("train", lambda config: pytest.fail("ran"))
    assert genbench(monkeypatch, "train", "-m", "budget.imgs=3,4") == 1
    assert capsys.readouterr().err.endswith("error: 'imgs' is no key of budget: did you mean images?\n")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("scheduler=null", "scheduler=null names no choice: leave it out, or choose one of cosine, edm, flow"),
        ("model=vea", "no model 'vea': choose one of dcgan, ddpm, ect, pixel_gpt, text_to_image, vae; did you mean"),
        (
            "hydra/launcher=proces",
            "no hydra/launcher 'proces': choose one of basic, joblib, process, ray, slurm; did you mean",
        ),
        ("hydra/sweeper=ax", "no hydra/sweeper 'ax': choose one of basic, optuna"),
        ("hydra/sweeper/pruner=mediann", "no hydra/sweeper/pruner 'mediann': choose one of median, none; did you mean"),
        ("+metric=[fd, knd]", "no metric 'knd': choose one of accuracy, cas"),
    ],
)
def test_a_choice_that_a_group_does_not_have_is_told_in_a_line(monkeypatch, command, argument, message):
    command("train", lambda config: pytest.fail("ran"))
    assert message in str(genbench(monkeypatch, "train", argument))


@pytest.mark.parametrize(
    ("chosen", "key", "message"),
    [
        (
            "hydra/launcher=slurm",
            "hydra.launcher.partion=main",
            "is no key of hydra/launcher=slurm: did you mean partition?",
        ),
        ("hydra/launcher=process", "hydra.launcher.mem=4G", "hydra/launcher=process; it has at_once"),
        ("hydra/sweeper=optuna", "hydra.sweeper.trials=4", "of hydra/sweeper=optuna: did you mean n_trials?"),
        (
            "hydra/sweeper=optuna",
            "hydra.sweeper.pruner.n_warmup_step=4",
            "of hydra/sweeper/pruner=median: did you mean n_warmup_steps?",
        ),
        ("hydra/sweeper/pruner=median", "hydra.sweeper.pruner.upper=4", "=median; it has n_startup_trials, n_warmup_s"),
    ],
)
def test_a_key_that_a_launcher_does_not_have_is_told_in_a_line(monkeypatch, command, chosen, key, message):
    command("train", lambda config: pytest.fail("ran"))
    assert message in str(genbench(monkeypatch, "train", "-m", chosen, key, "seed=1,2"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "hydra/launcher=slurm"], "hydra/launcher=slurm starts the jobs of a sweep: add -m"),
        (["evaluate", "run=x", "hydra/launcher=joblib"], "hydra/launcher=joblib starts the jobs of a sweep: add -m"),
        (["train", "hydra/sweeper=optuna", "seed=1"], "hydra/sweeper=optuna chooses the jobs of a sweep: add -m"),
        (["benchmark", "hydra/sweeper=optuna"], "hydra/sweeper=optuna chooses the jobs of a sweep: add -m"),
        (
            ["train", "-m", "optimizer.lr=tag(log,interval(1e-4,1e-2))"],
            "optimizer.lr=tag(log,interval(1e-4,1e-2)) is no list of values to run: add hydra/sweeper=optuna, which",
        ),
        (
            ["evaluate", "hydra.mode=MULTIRUN", "run=x", "seed=1,2", "protocol.samples=int(interval(1,9))"],
            "protocol.samples=int(interval(1,9)) is no list of values to run: give values, KEY=A,B",
        ),
    ],
)
def test_a_sweep_that_is_none_and_a_search_without_its_sweeper_are_told_in_a_line(
    monkeypatch, command, arguments, message
):
    command(arguments[0], lambda config: pytest.fail("ran"))
    told = str(genbench(monkeypatch, *arguments))
    assert told.startswith(f"error: {message}")
    assert "\n" not in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "-m", "hydra/launcher=basic", "hydra/sweeper=basic"],
        ["train", "hydra/launcher=basic"],
        ["train", "hydra/launcher=joblib", "--cfg", "hydra"],
        ["train", "-m", "hydra/launcher=basic", "optimizer.lr=interval(1e-4,1e-2)", "experiment=searched"],
        ["benchmark", "hydra/launcher=process"],
    ],
)
def test_a_launcher_where_there_are_jobs_or_questions_is_let_pass(monkeypatch, command, tmp_path, arguments):
    """An experiment may bring a sweeper of its own."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "searched.yaml").write_text(
        "# @package _global_\ndefaults: [override /hydra/sweeper: optuna]\n"
    )
    monkeypatch.setattr("genbench.app.optuna.run_study", lambda *_: None)
    command(arguments[0], lambda config: None)
    assert genbench(monkeypatch, arguments[0], "--config-dir", str(tmp_path), *arguments[1:]) == 0


def test_a_launcher_that_goes_on_from_another_has_its_keys(monkeypatch, command, tmp_path):
    ran = []
    command("benchmark", ran.append)
    site = tmp_path / "hydra" / "launcher" / "site.yaml"
    site.parent.mkdir(parents=True)
    site.write_text("defaults: [process, _self_]\nat_once: 2\n")
    own = ["--config-dir", str(tmp_path), "hydra/launcher=site", "hydra.launcher.at_once=3"]
    genbench(monkeypatch, "benchmark", *own)
    assert len(ran) == 1


def test_a_process_started_for_another_device_finds_the_command(monkeypatch, command):
    got = []
    command("evaluate", got.append)
    monkeypatch.setenv("GENBENCH_COMMAND", "evaluate")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert genbench(monkeypatch, "run=x", 'hydra.run.dir="."', "hydra.output_subdir=null") == 0
    assert got[0].run == "x"


def test_the_command_is_remembered_and_argv_is_the_commands_own(monkeypatch, command):
    seen = []
    command("train", lambda config: seen.append((__import__("os").environ["GENBENCH_COMMAND"], sys.argv[1:])))
    genbench(monkeypatch, "train", "seed=3")
    assert seen == [("train", ["seed=3"])]


def test_in_a_sweep_argv_is_the_jobs_own(monkeypatch, command, tmp_path):
    """Lightning starts the processes of other devices with our arguments: they must not start the sweep again."""
    (tmp_path / "own").mkdir()
    seen = []
    command("train", lambda config: seen.append(sys.argv[1:]))
    assert genbench(monkeypatch, "train", "-m", "seed=1,2", "tags=[a,b]", "--config-dir", "own") == 0
    own = ["--config-dir", str(tmp_path / "own")]
    assert seen == [[*own, "seed=1", "tags=[a,b]"], [*own, "seed=2", "tags=[a,b]"]]


def test_config_dir_adds_a_choice(monkeypatch, command, tmp_path):
    yaml = Path("own/model/wide.yaml")
    (tmp_path / yaml).parent.mkdir(parents=True)
    (tmp_path / yaml).write_text("# @package _global_\n# wide\ndefaults: [vae]\nname: wide\nmodel: {latent: 99}\n")
    got = []
    command("train", got.append)
    assert genbench(monkeypatch, "train", "--config-dir", "own", "model=wide") == 0
    assert (got[0].name, got[0].model.latent, got[0].model._target_) == ("wide", 99, "genbench.families.vae.VAE")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_every_command_shows_examples_and_choices(monkeypatch, capsys, name):
    typed = name.replace("_", " ")
    assert genbench(monkeypatch, *typed.split(), "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"genbench {typed}: ")
    assert out.count(f"  genbench {typed} ") >= 2
    assert "model: dcgan, ddpm, ect, pixel_gpt, text_to_image, vae\n" in out


def test_help_and_cfg_do_not_import_torch(tmp_path):
    import subprocess

    code = (
        "import sys\nfrom genbench.app.cli import main\n"
        "try: main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    )
    for arguments in (["train", "--help"], ["train", "--cfg", "job"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert done.stdout.splitlines()[-1] == "False"
        assert "genbench.families.diffusion.Diffusion" in done.stdout


PROMPTS = (
    "a small red circle above a blue square",
    "<b>red</b> & {blue: [1, 2]}, it's ${home}",
    "",
    "7",
    "a \\ b \\'c'\\",
    "true",
    "\\${n} and ${oc.env:HOME}",
    'she said "red"',
)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_is_taken_as_it_stands(monkeypatch, command, prompt):
    got = []
    command("sample", got.append)
    assert genbench(monkeypatch, "sample", "run=x", f"prompt={prompt}", "n=3") == 0
    assert OmegaConf.to_container(got[0], resolve=True)["prompt"] == prompt
    assert got[0].n == 3


def test_a_prompt_in_hydras_own_quotes_is_left_to_hydra(monkeypatch, command):
    got = []
    command("sample", got.append)
    for written, prompt in (("'a, b'", "a, b"), ('"a, b"', "a, b"), ("null", None)):
        genbench(monkeypatch, "sample", "run=x", f"prompt={written}")
        assert got[-1].prompt == prompt
