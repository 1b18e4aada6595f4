"""Every command of the README runs, small; the main one runs as it stands and reaches its bar."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "train": ["budget.images=320", "logger=none"],
    "sample": ["sampler.steps=3"],
    "evaluate": ["protocol.samples=200", "protocol.kid_subset_size=100"],
    "features": ["epochs=1"],
    "benchmark": ["cell.logger=none", "+cell.budget=tiny", "+cell.protocol=quick", "+cell.training.preview_every=null"],
}


def commands(path: Path) -> list[str]:
    """The lines of a document's shell blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def genbench(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genbench", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def serves(arguments: list[str], folder: Path) -> None:
    """Starts a command that runs until it is stopped, and stops it once it says where it is."""
    command = [sys.executable, "-m", "genbench", *arguments, "port=0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.terminate()
    assert said.startswith("http://127.0.0.1:"), said


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_genbench_commands_run_in_the_order_they_are_written(tmp_path: Path) -> None:
    ran = [shlex.split(line)[1:] for line in commands(ROOT / "README.md") if line.startswith("genbench ")]
    assert {arguments[0] for arguments in ran} == {
        *("train", "sample", "evaluate", "benchmark", "report", "list", "features", "reference", "export", "import"),
        *("play", "sweep"),
    }
    for arguments in ran:
        if arguments[0] == "play":
            serves(arguments, tmp_path)
            continue
        small = [] if "--help" in arguments else SMALL.get(arguments[0], [])
        if "hydra/sweeper=optuna" in arguments:
            small = [*small, "protocol=quick", "hydra.sweeper.n_trials=2"]
        if not any(argument.startswith("sampler=") for argument in arguments):
            small = [override for override in small if not override.startswith("sampler.")]
        done = genbench([*arguments, *small], tmp_path)
        assert done.returncode == 0, f"genbench {' '.join(arguments)}\n{done.stderr[-3000:]}"
        assert done.stdout.strip(), arguments
    assert (tmp_path / "runs/drawn.npz").is_file()
    rows = json.loads((tmp_path / "runs/benchmarks/digits/leaderboard.json").read_text())
    assert {row["family"] for row in rows} == {"vae", "gan", "autoregressive", "diffusion", "control"}
    assert all(row["seeds"] == [1, 2] for row in rows if row["family"] != "control")


def test_the_make_commands_are_targets() -> None:
    for line in commands(ROOT / "README.md"):
        if line.startswith("make "):
            target = shlex.split(line)[1]
            done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def test_no_other_kind_of_command_is_promised() -> None:
    kinds = {shlex.split(line)[0] for line in commands(ROOT / "README.md")}
    assert kinds == {"make", "genbench"}


def leaderboard(folder: Path) -> dict[str, Any]:
    """The rows of a benchmark by model."""
    return {row["model"]: row for row in json.loads((folder / "leaderboard.json").read_text())}


@pytest.mark.bench
@pytest.mark.timeout(2700)
def test_make_bench_reaches_the_bar(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    make = ["make", "bench", f"VENV={Path(sys.prefix)}", f"OUT={tmp_path}"]
    done = subprocess.run(make, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = leaderboard(tmp_path / "digits")
    controls = {"real", "train copy", "noise", "blur", "one mode"}
    assert rows.keys() == {"vae", "dcgan", "pixel_gpt", "ddpm", *controls}
    assert rows["train copy"]["scores"]["ct"]["mean"] < -3.0 < rows["real"]["scores"]["ct"]["mean"]
    assert rows["train copy"]["scores"]["auth"]["mean"] < 0.01
    for model, accuracy in (("pixel_gpt", 0.90), ("ddpm", 0.90), ("vae", 0.80), ("dcgan", 0.80)):
        assert rows[model]["accuracy"] >= accuracy, rows[model]
        assert rows["real"]["fd"] < rows[model]["fd"] < 0.10 * rows["noise"]["fd"], rows[model]
    assert "<svg" in (tmp_path / "digits/report/index.html").read_text()
    shapes = leaderboard(tmp_path / "shapes_small")
    assert shapes["real"]["overall"] == shapes["real"]["overall_held_out"] == 1.0
    assert shapes["chance"]["overall"] < 0.05
    assert shapes["retrieval"]["overall_held_out"] < 0.05
    assert shapes["minilm"]["overall"] >= 0.55
    assert 0.0 <= shapes["minilm"]["overall_held_out"] <= 1.0
