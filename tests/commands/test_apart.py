"""Two processes of one training on machines that are not alike."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import Train

WORKER = Path(__file__).with_name("apart_worker.py")


@pytest.fixture(scope="module")
def found(finished: Train, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What came of the trainings, by rank."""
    folder = tmp_path_factory.mktemp("apart")
    started = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", str(WORKER), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [*started, str(finished("vae").path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
def test_all_scale_their_latents_as_the_first_one_measured(found: list[dict[str, Any]]) -> None:
    assert found[0]["scale"] == found[1]["scale"]
