"""`hydra/launcher=process`: every job a process, whose failure is its own; benchmarks by the same word."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from safetensors.torch import load_file

from genbench.app.paths import conf_dir
from genbench.benchmark.leaderboard import read_leaderboard
from genbench.cluster.job import TOLD, Job, last_lines
from genbench.cluster.processes import run_processes
from genbench.core import ConfigError
from genbench.run import Run

TINY = ("logger=none", "protocol=quick", "training.log_every=128", "trainer=cpu")


def genbench(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "genbench", *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400.0,
    )
    return done.returncode, done.stderr


def test_hydra_knows_the_launchers() -> None:
    names = {found.__name__ for found in Plugins.instance().discover(Launcher)}
    assert {"ProcessLauncher", "SlurmLauncher"} <= names


@pytest.mark.slow
def test_a_job_that_fails_leaves_the_others_alone_and_is_told_with_its_output(tmp_path: Path) -> None:
    sweep = ["hydra/launcher=process", "hydra.launcher.at_once=2", "hydra.sweep.dir=sweep"]
    common = ["budget.images=256", "model=vae", "model.channels=[8,16]", *TINY]
    code, err = genbench(tmp_path, "train", "-m", *sweep, *common, "optimizer.lr=1e+30,0.001", "training.clip=null")
    assert code == 1
    assert re.search(r"^job 1 \(optimizer.lr=0.001\): done in \S+ s$", err, re.MULTILINE)
    failed = r"^job 0 \(optimizer.lr=1e\+30\) failed with exit code 1; (\S+) ends:\n((?:    .*\n)+)"
    told = re.search(failed, err, re.MULTILINE)
    assert told, err
    assert Path(told[1]) == tmp_path / "sweep" / "0.log"
    assert "training stopped; an earlier checkpoint" in told[2]
    (run,) = (Run.open(path.parent) for path in tmp_path.glob("runs/digits/*/training.json"))
    assert run.config.optimizer.lr == 0.001


@pytest.mark.slow
def test_joblib_tells_a_job_that_fails_and_ends_the_others(tmp_path: Path) -> None:
    common = ["hydra.sweep.dir=sweep", "budget.images=128", "model=vae", "model.channels=[8,16]", *TINY]
    code, err = genbench(tmp_path, "train", "-m", "hydra/launcher=joblib", *common, "optimizer.lr=-1,0.001")
    assert code == 1
    assert re.search(r"error: job 0 \(.*optimizer.lr=-1.*\): optimizer.lr=-1: Invalid learning rate", err, re.MULTILINE)
    assert [Run.open(path.parent).config.optimizer.lr for path in tmp_path.glob("runs/digits/*/training.json")] == [
        0.001
    ]


CONFIG = """
name: pair
seeds: [1]
cell: {data: digits, protocol: quick, features: digits, trainer: cpu, budget: {images: 256, batch_size: 64}}
models:
  one: {model: vae, model.channels: [8, 16]}
  two: {model: vae, model.channels: [8, 16], optimizer: {lr: 1e+30}, training: {clip: null, log_every: 64}}
"""


@pytest.mark.slow
def test_the_cells_of_a_benchmark_are_jobs_and_only_what_is_missing_runs_again(tmp_path: Path) -> None:
    (tmp_path / "conf" / "benchmark").mkdir(parents=True)
    named = CONFIG.replace("one:", "lr=1e-3:").replace("two:", '"vae (small), it\'s":')
    (tmp_path / "conf" / "benchmark" / "pair.yaml").write_text(named)
    common = ["benchmark", "--config-dir", "conf", "benchmark=pair", "cell.logger=none", "out=out"]
    sweep = ["hydra/launcher=process", "hydra.launcher.at_once=2", "hydra.sweep.dir=sweep"]
    code, err = genbench(tmp_path, *common, *sweep)
    assert code == 1
    one, two = "lr=1e-3", "vae (small), it's"
    assert f'job 0 (only="{one}-s1"): done' in err
    assert f'job 1 (only="{two}-s1") failed with exit code 1' in err
    assert err.rstrip().splitlines()[-1].startswith(f"error: 1 of 2 cells failed ({two}-s1)")
    rows = {row["model"]: row for row in read_leaderboard(tmp_path / "out") if row["family"] != "control"}
    assert (rows[one]["status"], rows[two]["status"]) == ("ok", "failed")
    before = Run.open(tmp_path / "out" / "cells" / f"{one}-s1").weights.stat().st_mtime_ns

    code, err = genbench(tmp_path, *common, *sweep)
    assert code == 1
    assert f'only="{one}-s1"' not in err
    assert Run.open(tmp_path / "out" / "cells" / f"{one}-s1").weights.stat().st_mtime_ns == before
    code, err = genbench(tmp_path, *common, "only=three-s1")
    assert code == 1
    assert f"only=three-s1: pair has the cells {one}-s1, {two}-s1: choose one of them" in err


@pytest.mark.slow
def test_a_cell_of_a_benchmark_may_have_two_devices(tmp_path: Path) -> None:
    (tmp_path / "conf" / "benchmark").mkdir(parents=True)
    (tmp_path / "conf" / "benchmark" / "pair.yaml").write_text(
        CONFIG[: CONFIG.index("  two:")].replace("one:", "vae (1):")
    )
    common = ["benchmark", "--config-dir", "conf", "benchmark=pair", "cell.logger=none"]
    code, err = genbench(tmp_path, *common, "cell.trainer=ddp_cpu", "out=two")
    assert (code, "Traceback" in err) == (0, False), err
    assert genbench(tmp_path, *common, "only='vae (1)-s1'", "out=alone")[0] == 0
    together, alone = (Run.open(tmp_path / name / "cells" / "vae (1)-s1") for name in ("two", "alone"))
    assert together.config.trainer.devices == 2
    for name, value in load_file(together.weights).items():
        torch.testing.assert_close(value, load_file(alone.weights)[name], rtol=1e-3, atol=1e-5)
    (row,) = (row for row in read_leaderboard(tmp_path / "two") if row["model"] == "vae (1)")
    (result,) = (json.loads(path.read_text()) for path in alone.results.glob("*.json"))
    assert row["fd"] == pytest.approx(result["fd"], rel=1e-2)

    before = together.weights.stat().st_mtime_ns
    code, err = genbench(tmp_path, *common, "cell.trainer=ddp_cpu", "out=two")
    assert (code, "(1)-s1" in err) == (0, False)
    assert together.weights.stat().st_mtime_ns == before


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_sweep_that_is_told_to_end_has_its_jobs_save_and_waits_for_them(
    number: int, code: int, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    long = ["budget.images=1000000", "training.checkpoint_every=512", "model=vae", "model.channels=[8,16]", *TINY]
    sweep = ["train", "-m", "hydra/launcher=process", "hydra.sweep.dir=sweep", f"run_dir={run.path}"]
    with subprocess.Popen([sys.executable, "-m", "genbench", *sweep, *long], cwd=tmp_path) as process:
        while not run.checkpoint.is_file():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(number)  # to it alone, as schedulers and `kill` do
        assert process.wait(120.0) == code
    assert "SIGTERM: saved at" in (tmp_path / "sweep" / "0.log").read_text()


@pytest.mark.slow
def test_a_benchmark_that_is_told_to_end_has_its_cells_save_and_waits_for_them(tmp_path: Path) -> None:
    (tmp_path / "conf" / "benchmark").mkdir(parents=True)
    long = CONFIG.replace("images: 256", "images: 1000000").replace(
        "cell: {", "cell: {training.checkpoint_every: 512, "
    )
    (tmp_path / "conf" / "benchmark" / "pair.yaml").write_text(long)
    own = ["--config-dir", "conf", "benchmark=pair", "cell.logger=none", "out=out"]
    sweep = ["hydra/launcher=process", "hydra.sweep.dir=sweep"]
    run = Run(tmp_path / "out" / "cells" / "one-s1")
    with subprocess.Popen([sys.executable, "-m", "genbench", "benchmark", *own, *sweep], cwd=tmp_path) as process:
        while not run.checkpoint.is_file():
            assert process.poll() is None
            time.sleep(0.1)
        process.terminate()
        assert process.wait(120.0) == 128 + signal.SIGTERM
    assert "SIGTERM: saved at" in (tmp_path / "sweep" / "0.log").read_text()


@pytest.mark.parametrize(
    ("end", "stopped"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", True),
        ("os.kill(os.getpid(), signal.SIGKILL)", True),
        ("sys.exit(128 + signal.SIGUSR1)", True),
        ("os.kill(os.getpid(), signal.SIGSEGV)", False),
        ("sys.exit(1)", False),
    ],
)
def test_a_job_that_was_stopped_from_outside_is_told_from_one_that_failed(
    end: str, stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "genbench.py").write_text(f"import os, signal, sys\n{end}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (found,) = run_processes([Job(0, ("train",), ("seed=1",), tmp_path)], 1)
    assert found is not None
    assert found.stopped is stopped
    assert found.reason.startswith("job 0 (seed=1) failed with exit code ")


def test_what_no_launcher_can_do_is_told_in_a_line(tmp_path: Path) -> None:
    code, err = genbench(tmp_path, "train", "-m", "hydra/launcher=process", "hydra.launcher.at_once=0", "seed=1")
    assert (code, err) == (1, "error: hydra.launcher: at_once = 0: expected greater than or equal to 1\n")


@pytest.mark.parametrize(
    ("choice", "typed", "message"),
    [
        ("process", "at_once=two", 'at_once = "two": expected an integer'),
        ("process", "at_once=1.5", "at_once = 1.5: expected an integer"),
        ("process", "at_once=null", "at_once = null: expected an integer"),
        ("process", "jobs=2", "jobs: unknown; expected one of at_once"),
        ("slurm", "nodes=two", 'nodes = "two": expected an integer'),
        ("slurm", "max_num_timeout=null", "max_num_timeout = null: expected an integer"),
        ("slurm", "setup='module load cuda'", 'setup = "module load cuda": expected a list'),
        ("slurm", "signal_delay_s=-1", "signal_delay_s = -1: expected greater than or equal to 0"),
        ("ray", "num_gpus=one", 'num_gpus = "one": expected a number'),
        ("ray", "num_cpus=inf", "num_cpus = Infinity: expected a finite number"),
        ("ray", "max_retries=-2", "max_retries = -2: expected greater than or equal to -1"),
    ],
)
def test_a_setting_of_a_launcher_that_does_not_fit_is_told_before_a_job_starts(
    choice: str, typed: str, message: str, tmp_path: Path
) -> None:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        asked = [f"hydra/launcher={choice}", f"++hydra.launcher.{typed}"]
        launcher = instantiate(compose("train", asked, return_hydra_config=True).hydra.launcher)
    with pytest.raises(ConfigError, match=f"^hydra.launcher: {re.escape(message)}$"):
        launcher.run([Job(0, ("train",), (), tmp_path)])
    assert not list(tmp_path.iterdir())


def test_of_a_log_its_last_lines_are_told_and_of_a_progress_bar_its_last_state(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\n\n" + "".join(f"line {i}\n" for i in range(20)) + "bar 1\rbar 2\rbar 3\n")
    assert last_lines(log) == [*(f"line {i}" for i in range(20 - TOLD + 1, 20)), "bar 3"]
    assert last_lines(tmp_path / "none") == []
