"""`genbench train -m hydra/sweeper=optuna`, whole: real trainings, judged, killed, pruned, refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import command, files

from genbench.app import cli
from genbench.app.collect import all_rows
from genbench.app.judged import judged_under
from genbench.app.judging import read_result
from genbench.run import Run
from genbench.training import preemption
from genbench.training.checkpoint import newest
from genbench.training.jsonl import read_log
from genbench.training.preview import Preview

VAE = ("model=vae", "model.channels=[8,16]", "protocol=quick", "logger=none", "trainer=cpu", "training.log_every=128")
LR = "optimizer.lr=tag(log,interval(1e-4,1e-2))"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs a study called s in an empty folder, in this process; the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENBENCH_COMMAND", "")

    def run(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["genbench", *line(*arguments)])
        try:
            return cli.main()
        except SystemExit as stop:
            return stop.code

    return run


def line(*arguments: str) -> list[str]:
    return ["train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.study=s", *VAE, *arguments]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "runs/sweeps/s/study.json").read_text())


KILLED = """
import os, signal
from genbench.app.cli import main
from genbench.training.checkpoint import ResumeCheckpoint

def save(self, trainer, module, save=ResumeCheckpoint.save):
    save(self, trainer, module)
    if self.path.parent.name == "trial-1" and module.images_seen == 128:
        os.kill(os.getpid(), signal.SIGKILL)

ResumeCheckpoint.save = save
main()
"""


@pytest.mark.slow
def test_killed_while_a_trial_trains_it_goes_on_with_every_trial_once(study, tmp_path: Path, capsys) -> None:
    arguments = [LR, "budget.images=256", "training.checkpoint_every=64", "hydra.sweeper.n_trials=3"]
    s = tmp_path / "runs" / "sweeps" / "s"
    killed = [sys.executable, "-c", KILLED, *line(*arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(killed, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    first = files(s / "trial-0")
    assert study(*arguments) == 0
    assert files(s / "trial-0") == first
    records = [json.loads(each) for each in (s / "trial-1" / "log.jsonl").read_text().splitlines()]
    assert [record["images"] for record in records if record.get("event") == "resume"] == [128]

    trials = summary(tmp_path)["trials"]
    assert [(trial["number"], trial["state"]) for trial in trials] == [(i, "complete") for i in range(3)]
    assert sorted(path.name for path in s.glob("trial-*")) == ["trial-0", "trial-1", "trial-2"]
    for trial in trials:
        run = Run.open(tmp_path / trial["run"])
        assert run.config.optimizer.lr == trial["values"]["optimizer.lr"]
        assert read_result(run.result_path(judged_under(run) or ""))["fd"] == trial["fd"]
    best = min(trials, key=lambda trial: trial["fd"])
    said = capsys.readouterr().out
    assert f"best of 3 trials (3 complete): trial {best['number']}, fd {best['fd']:.5g}, {best['run']}" in said
    assert f"optimizer.lr={best['values']['optimizer.lr']}\n" in said
    assert sorted(row["fd"] for row in all_rows([s])) == sorted(trial["fd"] for trial in trials)


TINY = ("budget.images=128", "budget.batch_size=64")


def pruner_of_all(folder: Path) -> tuple[str, ...]:
    """What a study is given to stop every trial at its first preview."""
    own = folder / "conf" / "hydra" / "sweeper" / "pruner"
    own.mkdir(parents=True)
    (own / "harsh.yaml").write_text("_target_: optuna.pruners.ThresholdPruner\nupper: 0.0\n")
    return "hydra/sweeper/pruner=harsh", "--config-dir", "conf"


def test_a_pruned_trial_can_be_trained_to_its_end(study, tmp_path: Path, capsys) -> None:
    harsh = pruner_of_all(tmp_path)
    arguments = [LR, *TINY, "training.preview_every=64", "hydra.sweeper.n_trials=1"]
    assert study(*arguments, *harsh) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == ("error: no trial has a score (1 pruned): runs/sweeps/s/study.json says why")
    assert said.out.count("pruned at 64 images") == 1
    trial = summary(tmp_path)["trials"][0]
    command("train", *trial["overrides"], f"run_dir={trial['run']}")
    run = Run.open(tmp_path / trial["run"])
    assert run.finished
    assert [record["images"] for record in read_log(run.log) if "fd" in record] == [64, 128]
    assert study(*arguments, "hydra.sweeper.n_trials=2", "hydra/sweeper/pruner=none") == 0
    assert [trial["state"] for trial in summary(tmp_path)["trials"]] == ["pruned", "complete"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2], ids=lambda number: number.name)
def test_a_signal_that_comes_as_a_trial_is_pruned_ends_the_study_too(
    number: signal.Signals, study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(preemption, "requeue", lambda: asked.append("requeue"))
    arguments = [LR, *TINY, "training.preview_every=64", "hydra.sweeper.n_trials=2", *pruner_of_all(tmp_path)]
    show = Preview.show

    def shot(self: Preview, *others: Any) -> None:
        show(self, *others)
        os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Preview, "show", shot)
        assert study(*arguments) == 128 + number
    assert asked == ["requeue"] * (number != signal.SIGTERM)  # which cancels
    s = tmp_path / "runs" / "sweeps" / "s"
    assert [path.name for path in s.glob("trial-*")] == ["trial-0"]
    assert newest(s / "trial-0" / "checkpoint.ckpt", s / "none")["genbench"]["images_seen"] == 64
    record = (s / "trial-0" / "log.jsonl").read_text()
    assert study(*arguments) == 1
    assert [trial["state"] for trial in summary(tmp_path)["trials"]] == ["pruned", "pruned"]
    assert (s / "trial-0" / "log.jsonl").read_text() == record


def test_a_trial_that_fails_is_told_and_the_study_goes_on(study, tmp_path: Path, capsys) -> None:
    choice = "optimizer.lr=choice(1e+30,0.001)"
    assert study(choice, *TINY, "training.clip=null", "training.log_every=64", "hydra.sweeper.n_trials=3") == 0
    trials = summary(tmp_path)["trials"]
    states = {trial["values"]["optimizer.lr"]: trial["state"] for trial in trials}
    assert states == {1e30: "failed", 0.001: "complete"}
    failed = next(trial for trial in trials if trial["state"] == "failed")
    assert failed["reason"].startswith("warm-up made NaN in 128 of 128 images")
    assert f"trial {failed['number']} failed: warm-up made NaN" in capsys.readouterr().err
    assert len(list((tmp_path / "runs/sweeps/s").glob("trial-*"))) == 2

    assert study(choice, *TINY, "training.clip=1.0", "training.log_every=64") == 1
    assert capsys.readouterr().err == (
        "error: runs/sweeps/s holds another study; it differs in config.training.clip: null there, 1.0 here: choose "
        "another hydra.sweeper.study\n"
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "hydra.sweeper.objective=ct",
            "hydra.sweeper.objective=ct is not measured by protocol quick: choose one of bits_per_dim, fd",
        ),
        ("hydra.sweeper.n_jobs=0", "hydra.sweeper: n_jobs = 0: expected greater than or equal to 1"),
        ("hydra.sweeper.pruner._target_=os.system", "hydra.sweeper.pruner._target_=os.system is no pruner of Optuna's"),
        ("hydra.sweeper.study=../s", "hydra.sweeper.study=../s names a folder: use letters, digits, . - and _"),
        ("budget.batch_size=choice(x,64)", 'budget.batch_size = "x": expected an integer'),
        ("run_dir=mine", "run_dir is each trial's own: leave it out"),
    ],
)
def test_a_mistake_is_told_in_a_line_before_anything_trains(
    study, tmp_path: Path, capsys, argument: str, message: str
) -> None:
    assert study(LR, argument) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_judged_training_has_the_result_that_evaluate_finds(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command("train", *VAE, *TINY, f"run_dir={folder}", "judge=true")
    run = Run.open(folder)
    (path,) = (folder / "results").glob("*.json")
    before = files(folder)
    assert path.stem == judged_under(run)
    command("train", *VAE, *TINY, f"run_dir={folder}", "judge=true")
    command("evaluate", f"run={folder}", "protocol=quick")
    assert files(folder) == before
