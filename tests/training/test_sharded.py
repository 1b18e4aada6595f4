"""A model that is spread over devices trains, saves and resumes as one that is whole."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sharded_worker import MODELS, keep, trained
from test_replicas import WORKER, started
from torch.utils._pytree import tree_flatten_with_path

from genbench.training.checkpoint import read


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Trainings alone, and the same ones of two processes."""
    alone, sharded = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("sharded")
    for folder in (alone, sharded):
        for name in MODELS:
            (folder / name / "resumed").mkdir(parents=True)
    for name in MODELS:
        keep(*trained(name, alone / name), alone / name)
    started(2, WORKER.with_name("sharded_worker.py"), str(alone), str(sharded))
    return alone, sharded


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Nested states of the same names and numbers, except for seconds."""
    left, right = (dict(tree_flatten_with_path(state)[0]) for state in (ours, theirs))
    assert left.keys() == right.keys()
    for path, value in right.items():
        if "seconds" in str(path):
            continue
        tolerance = 1e-5 if "logged" in str(path) else 1e-12  # what is logged passes through float32
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(left[path], value, rtol=tolerance, atol=tolerance, msg=str(path))
        else:
            assert left[path] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), path


def kept(folder: Path, rank: int = 0) -> dict[str, torch.Tensor]:
    there = load_file(folder / f"rank{rank}.safetensors")
    del there["held"]
    return there


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_sharded_model_trains_and_is_saved_as_a_whole_one(name: str, folders: tuple[Path, Path]) -> None:
    alone, sharded = (folder / name for folder in folders)
    same(kept(sharded), kept(alone))
    there = kept(alone)
    norms = torch.cat([value for key, value in there.items() if "norm" in key])
    assert norms.max() > 0.1, "the gradients are clipped"
    if name == "faulty":
        assert there["logged/skipped"].max() == 1
    # previews of averaged weights, the best of them, and averages of other lengths
    files = [*alone.glob("*.png"), *alone.glob("images-*"), alone / "best.safetensors"]
    assert len(files) == 7
    for file in files:
        if file.suffix == ".png":
            assert (sharded / file.name).read_bytes() == file.read_bytes()
        else:
            same(load_file(sharded / file.name), load_file(file))
    held = [load_file(sharded / f"rank{rank}.safetensors")["held"] for rank in (0, 1)]
    assert sum(held) == 1.0
    assert max(held) < 0.52


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_is_whole_and_goes_on_with_any_number_of_devices(name: str, folders: tuple[Path, Path]) -> None:
    alone, sharded = (folder / name for folder in folders)
    ours, theirs = (read(folder / "last.ckpt") for folder in (sharded, alone))
    assert (ours["genbench"].pop("world_size"), theirs["genbench"].pop("world_size")) == (2, 1)
    same(ours, theirs)

    def weights(folder: Path) -> dict[str, torch.Tensor]:
        return {key: value for key, value in kept(folder).items() if "logged" not in key}

    here = alone / "resumed"
    keep(*trained(name, here, sharded / "last.ckpt"), here)
    same(weights(here), weights(alone))  # begun by two, ended by one
    same(weights(sharded / "resumed"), weights(alone))  # begun by one, ended by two
