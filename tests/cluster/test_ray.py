"""`hydra/launcher=ray` on a real Ray cluster of one node: failures, lost workers, interruption."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genbench.benchmark.leaderboard import read_leaderboard
from genbench.cluster.job import Job
from genbench.cluster.ray import Needs, run_ray
from genbench.core import ConfigError
from genbench.run import Run

pytestmark = pytest.mark.slow

TINY = ("logger=none", "protocol=quick", "training.log_every=128", "trainer=cpu", "model=vae", "model.channels=[8,16]")
LONG = ("budget.images=1000000", "training.checkpoint_every=512", "run_dir=run")
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}

Submit = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    """The address of a cluster with two cores."""
    folder = tempfile.mkdtemp(prefix="ray")  # short: a socket's path may have 107 characters
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray = str(Path(sys.executable).with_name("ray"))
    options = [f"--port={port}", "--num-cpus=2", "--include-dashboard=false", f"--temp-dir={folder}", "--block"]
    with subprocess.Popen(
        [ray, "start", "--head", "--node-ip-address=127.0.0.1", *options],
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "runtime started" in line:
                break
        else:
            pytest.fail(said)
        yield f"127.0.0.1:{port}"
        process.terminate()
        process.stdout.read()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def submit(head: str, tmp_path: Path) -> Submit:
    """Starts a command with `hydra/launcher=ray` in the test's folder."""

    def make(*overrides: str, command: str = "train") -> subprocess.Popen[str]:
        own = ["hydra/launcher=ray", f"hydra.launcher.address={head}", "hydra.sweep.dir=sweep"]
        return subprocess.Popen(
            [sys.executable, "-m", "genbench", command, *(["-m"] if command == "train" else []), *overrides, *own],
            cwd=tmp_path,
            env=os.environ | ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )

    return make


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=300.0)
    return process.returncode, err


def begun(process: subprocess.Popen[str], run: Run, images: int = 0) -> None:
    """Waits until a run has a checkpoint, written after so many nanoseconds since the epoch."""
    while not run.checkpoint.is_file() or run.checkpoint.stat().st_mtime_ns <= images:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def test_a_job_whose_worker_dies_goes_on_in_another(submit: Submit, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    process = submit(*TINY, *LONG)
    begun(process, run)
    child = int(_pgrep(f"genbench train .*{' '.join(LONG)}", "--parent", ",".join(_pgrep("^ray::genbench").split())))
    worker = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGKILL)
    while Path(f"/proc/{child}").exists():
        time.sleep(0.1)
    begun(process, run, images=time.time_ns())
    process.terminate()
    assert finished(process)[0] == 128 + signal.SIGTERM
    log = (tmp_path / "sweep" / "0.log").read_text()
    assert re.search(r"SIGTERM: saved at \d+ images", log)
    # what the progress bars show as they begin: the second goes on where the first left off
    begins = re.findall(r"\| (\S+)/1.00M \[00:00<\?", log)
    assert begins[0] == "0.00"
    assert begins[-1] != "0.00"


def _pgrep(pattern: str, *options: str) -> str:
    return subprocess.run(["pgrep", "--full", pattern, *options], capture_output=True, text=True, check=True).stdout


def test_an_interrupted_command_has_its_jobs_save(submit: Submit, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    process = submit(*TINY, *LONG)
    begun(process, run)
    process.send_signal(signal.SIGINT)
    code, err = finished(process)
    assert code == 130
    assert "waiting for the jobs to save and end" in err
    assert "SIGTERM: saved at" in (tmp_path / "sweep" / "0.log").read_text()


def test_jobs_that_no_node_has_room_for_are_told(submit: Submit) -> None:
    process = submit(*TINY, "hydra.launcher.num_gpus=1")
    assert process.stderr is not None
    told = "no node of the cluster has hydra.launcher.num_cpus=1 and num_gpus=1: the jobs wait for one that has"
    assert any(told in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    assert finished(process)[0] == 130


def test_the_cells_of_a_benchmark_are_tasks_of_which_one_may_fail(submit: Submit, tmp_path: Path) -> None:
    (tmp_path / "conf" / "benchmark").mkdir(parents=True)
    cell = "{data: digits, protocol: quick, features: digits, trainer: cpu, budget: {images: 256, batch_size: 64}}"
    bad = "{model: vae, model.channels: [8, 16], optimizer: {lr: 1e+30}, training: {clip: null, log_every: 64}}"
    models = f"{{one: {{model: vae, model.channels: [8, 16]}}, two: {bad}}}"
    (tmp_path / "conf" / "benchmark" / "own.yaml").write_text(
        f"name: own\nseeds: [1]\ncell: {cell}\nmodels: {models}\n"
    )
    own = ["--config-dir", "conf", "benchmark=own", "cell.logger=none", "out=out"]
    code, err = finished(submit(*own, command="benchmark"))
    assert code == 1
    assert re.search(r'^job 0 \(only="one-s1"\): done$', err, re.MULTILINE), err
    told = re.search(r'^job 1 \(only="two-s1"\) failed with exit code 1; (\S+) ends:\n(    .*\n)+', err, re.MULTILINE)
    assert told, err
    assert Path(told[1]) == tmp_path / "sweep" / "1.log"
    assert "training stopped; an earlier checkpoint" in told[0]
    rows = {row["model"]: row["status"] for row in read_leaderboard(tmp_path / "out") if row["family"] != "control"}
    assert rows == {"one": "ok", "two": "failed"}


def test_what_is_no_cluster_or_no_need_of_a_job_is_told(
    head: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        ConfigError, match=r"address=127.0.0.1:1: no Ray cluster there \(.*refused\): give a node's HOST"
    ):
        run_ray([], "127.0.0.1:1", Needs(1, 0), 0)
    with pytest.raises(ConfigError, match=r"hydra/launcher=ray refuses hydra.launcher: .*num_cpus"):
        run_ray([], head, Needs(-1, 0), 0)
    (lost,) = run_ray([Job(0, ("train",), ("seed=1",), tmp_path / "nowhere")], head, Needs(1, 0), 0)
    assert lost is not None
    assert not lost.stopped
    assert re.match(r"job 0 \(seed=1\) could not be started by Ray: .*No such file or directory", lost.reason)
