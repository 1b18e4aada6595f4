"""A batch is the same on one device, on several, and in accumulated pieces: weights and recorded losses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

WORKER = Path(__file__).with_name("replica_worker.py")
FAMILIES = ("vae", "dcgan", "pixel_gpt", "ddpm")


def trained(folder: Path, processes: int, accumulate: int) -> Path:
    folder.mkdir()
    alone = [sys.executable, str(WORKER), str(folder), str(accumulate)]
    several = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}", *alone[1:]]
    paths = os.pathsep.join([str(WORKER.parent.parent / "families"), *filter(None, sys.path)])
    done = subprocess.run(
        alone if processes == 1 else several,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("alone") / "run", 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (1, 4), (2, 2)])
def test_a_batch_is_the_same_however_it_is_split(processes: int, accumulate: int, alone: Path, tmp_path: Path) -> None:
    split = trained(tmp_path / "run", processes, accumulate)
    for name in FAMILIES:
        ours, theirs = load_file(split / f"{name}.safetensors"), load_file(alone / f"{name}.safetensors")
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            # what is logged passes through float32
            tolerance = 1e-5 if key.startswith("loss/") else 1e-12
            torch.testing.assert_close(ours[key], value, rtol=tolerance, atol=tolerance, msg=f"{name} {key}")
        assert any(key.startswith("loss/") for key in theirs)
