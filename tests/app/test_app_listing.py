"""`genbench`, `genbench --help` and `genbench list`: what they say, and that they say it without heavy imports."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from genbench.app import cli
from genbench.app.listing import description, groups
from genbench.app.paths import conf_dir, conf_dirs, user_dir

CHOICES = [(group, choice, yaml) for group, found in groups([conf_dir()]).items() for choice, yaml in found.items()]


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["genbench", *arguments])
    return cli.main()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["list"], ["list", "model"], ["--version"]])
def test_answers_without_torch_hydra_or_yaml(arguments):
    code = (
        "import sys; from genbench.app.cli import main; sys.argv[0] = 'genbench'; main();"
        "print(sorted({'torch', 'hydra', 'omegaconf', 'pydantic', 'numpy', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(done.stdout.splitlines()) > 1


def test_module_and_script_are_the_same_program():
    done = subprocess.run([sys.executable, "-m", "genbench", "lst"], capture_output=True, text=True)
    assert done.returncode == 1
    words = cli.first_words()
    assert {"train", "features", "list"} <= set(words)
    assert len(set(words)) == len(words)
    assert done.stderr == f"error: no command 'lst': choose one of {', '.join(words)}; did you mean list?\n"


def test_help_lists_every_command_with_its_description(monkeypatch, capsys):
    assert main(monkeypatch, "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    for command in cli.COMMANDS:
        typed = command.replace("_", " ")
        (line,) = [line.removeprefix(f"  {typed}").strip() for line in lines if line.startswith(f"  {typed} ")]
        assert line == description(conf_dir() / f"{command}.yaml")
        assert len(line) > 10


def test_the_first_word_of_two_lists_the_second(monkeypatch, capsys):
    for arguments in (["features"], ["features", "--help"]):
        assert main(monkeypatch, *arguments) == 0
        out = capsys.readouterr().out
        assert out.startswith("usage: genbench features <command>")
        assert f"  features fit  {description(conf_dir() / 'features_fit.yaml')}\n" in out
    monkeypatch.setattr("sys.argv", ["genbench", "features", "fti"])
    with pytest.raises(SystemExit, match="no features command 'fti': choose one of fit; did you mean fit"):
        cli.main()


@pytest.mark.parametrize(("group", "choice", "yaml"), CHOICES, ids=[f"{g}={c}" for g, c, _ in CHOICES])
def test_every_choice_says_what_it_is(group, choice, yaml):
    assert len(description(yaml)) > 8, f"the first comment of {yaml} should describe the choice"


def test_list_shows_every_yaml(monkeypatch, capsys):
    main(monkeypatch, "list")
    out = capsys.readouterr().out
    shown = {line.split()[0]: line.split(maxsplit=1)[1].split(", ") for line in out.splitlines() if line[:2] == "  "}
    expected = {}
    for yaml in conf_dir().glob("*/*.yaml"):
        expected.setdefault(yaml.parent.name, set()).add(yaml.stem)
    del expected["hydra"]
    assert {group: set(choices) for group, choices in shown.items()} == expected


def test_list_of_a_group_shows_its_descriptions(monkeypatch, capsys):
    main(monkeypatch, "list", "scheduler", "model")
    out = capsys.readouterr().out
    assert "  linear   betas rising linearly" in out
    assert "  vae  " in out.replace("vae      ", "vae")
    assert "@package" not in out


def test_unknown_group_names_the_groups_and_the_nearest(monkeypatch):
    with pytest.raises(SystemExit, match=r"no config group 'modle': .*data.*; did you mean model\?"):
        main(monkeypatch, "list", "modle")


@pytest.mark.parametrize("flag", [["--config-dir", "{}"], ["--config-dir={}"], ["-cd", "{}"]])
def test_config_dir_adds_choices_and_groups(monkeypatch, capsys, tmp_path, flag):
    for name, text in {"model/mine.yaml": "# my own", "extra/one.yaml": "# a group of mine"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    main(monkeypatch, "list", "model", "extra", *(part.format(tmp_path) for part in flag))
    out = capsys.readouterr().out
    assert re.search(r"^  mine +my own$", out, re.MULTILINE)
    assert "  one  a group of mine" in out
    assert "  vae  " in out


def test_config_dir_that_is_missing_is_named(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="nowhere is no folder"):
        main(monkeypatch, "list", "--config-dir", str(tmp_path / "nowhere"))


def test_a_choice_of_the_user_hides_the_shipped_one(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "vae.yaml").write_text("# mine\n")
    found = groups(conf_dirs(["--config-dir", str(tmp_path)]))
    assert found["model"]["vae"] == tmp_path / "model" / "vae.yaml"
    assert found["model"]["ddpm"] == conf_dir() / "model" / "ddpm.yaml"


def test_config_dir_without_a_value_is_none():
    assert user_dir(["model=vae", "--config-dir"]) is None
    assert user_dir(["--config-dir", "a"]) == Path("a").absolute()
