"""Two processes of one training on machines that are not alike."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import Train

from genbench.app import same_data
from genbench.app.same_data import same_images
from genbench.core import DataError
from genbench.data.digits import Digits

WORKER = Path(__file__).with_name("apart_worker.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("apart")


@pytest.fixture(scope="module")
def found(finished: Train, folder: Path) -> list[dict[str, Any]]:
    """What came of the trainings, by rank."""
    started = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", str(WORKER), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [*started, str(finished("vae").path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
def test_all_scale_their_latents_as_the_first_one_measured(found: list[dict[str, Any]]) -> None:
    assert found[0]["scale"] == found[1]["scale"]


@pytest.mark.slow
def test_an_image_that_one_machine_lacks_is_told_by_all_before_anything_is_made(
    found: list[dict[str, Any]], folder: Path
) -> None:
    assert found[0]["images"] == found[1]["images"]
    said = r"DataError: image_folder: 1 of 2 processes have other training images than (\d+) images \(sha256 .*\): "
    told = re.match(
        said + r"rank 1 on \S+ has (\d+) images \(sha256 .*\): give every machine the same", found[0]["images"]
    )
    assert told, found[0]["images"]
    assert int(told[1]) == int(told[2]) + 1
    assert not (folder / "odd").exists()


def test_the_machines_that_differ_from_most_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def said(mine: str, odd: Sequence[int]) -> list[str]:
        other = mine.replace("1437 images", "1436 images")
        return [other if rank in odd else mine for rank in range(16)]

    monkeypatch.setattr(same_data, "from_all", lambda task, mine: said(mine, []))
    assert same_images(Digits()) == Digits().table("train").fingerprint()
    monkeypatch.setattr(same_data, "from_all", lambda task, mine: said(mine, [0, 5]))
    with pytest.raises(
        DataError, match=r"2 of 16 processes .* than 1437 images.*: rank 0 on .* 1436 .*, rank 5 on .*: give"
    ):
        same_images(Digits())
    monkeypatch.setattr(same_data, "from_all", lambda task, mine: said(mine, range(8, 14)))
    with pytest.raises(DataError, match=r"6 of 16 processes .* rank 8 on .* rank 11 on .* and more: give"):
        same_images(Digits())
