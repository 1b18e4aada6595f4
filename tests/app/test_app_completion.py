"""Tab completion through COMP_LINE, as the shell functions ask for it."""

import subprocess
import sys

import pytest

from genbench.app import cli
from genbench.app.listing import groups
from genbench.app.paths import conf_dir


def complete(monkeypatch, capsys, line: str) -> set[str]:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr(sys, "argv", ["genbench", "-sc", "query=bash"])
    assert cli.main() == 0
    return set(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("genbench ", set(cli.first_words())),
        ("genbench fea", {"features"}),
        ("genbench features ", {"fit"}),
        ("genbench features f", {"fit"}),
        ("genbench features x", set()),
        ("genbench features fit see", {"seed="}),
        ("genbench features fit data=dig", {"data=digits"}),
        ("genbench t", {"train"}),
        ("genbench repo", {"report"}),
        ("genbench completion ", {"bash", "zsh", "fish"}),
        ("genbench list sch", {"scheduler"}),
        ("genbench train mod", {"model=", "model."}),
        ("genbench train model=d", {"model=dcgan", "model=ddpm"}),
        ("genbench train -m seed=1 lr_", {"lr_scheduler=", "lr_scheduler."}),
        ("genbench train model=vae model.la", {"model.latent="}),
        ("genbench train budget.im", {"budget.images="}),
        ("genbench sample sampler=dd", {"sampler=ddim", "sampler=ddpm"}),
        ("genbench nonsense mod", set()),
    ],
)
def test_offers(monkeypatch, capsys, line, expected):
    assert complete(monkeypatch, capsys, line) == expected


def test_all_choices_are_offered(monkeypatch, capsys):
    offered = complete(monkeypatch, capsys, "genbench train model=")
    assert offered == {f"model={choice}" for choice in groups([conf_dir()])["model"]}


def test_choices_of_the_users_folder_are_offered(monkeypatch, capsys, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# mine\n")
    line = f"genbench train --config-dir {tmp_path} model=mi"
    assert complete(monkeypatch, capsys, line) == {"model=mine"}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_installed_code_is_valid_bash_for_genbench(monkeypatch, capsys, shell):
    monkeypatch.setattr(sys, "argv", ["/some/where/genbench", "completion", shell])
    assert cli.main() == 0
    code = capsys.readouterr().out
    assert code.rstrip().endswith("-F hydra_bash_completion genbench")
    subprocess.run(["bash", "-n", "-c", code], check=True)


def test_unknown_shell_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["genbench", "completion", "bsh"])
    with pytest.raises(SystemExit, match="choose one of bash, zsh, fish; did you mean bash"):
        cli.main()
