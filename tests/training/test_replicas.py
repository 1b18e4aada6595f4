"""A batch is the same however it is split; devices skip moves together, and each tells where it hangs."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from dropout_worker import Dropping
from safetensors.torch import load_file
from tiny_trainings import Regression, fit

from genbench.core import Batch, Noise
from genbench.core.model import Losses
from genbench.training.lr import Constant
from genbench.training.module import TrainingModule

WORKER = Path(__file__).with_name("replica_worker.py")
FAMILIES = ("vae", "dcgan", "pixel_gpt", "ddpm", "ect", "text_to_image")


def started(processes: int, worker: Path, *arguments: str) -> None:
    """Runs a worker alone, or in processes that torchrun starts."""
    alone = [sys.executable, str(worker), *arguments]
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


def trained(folder: Path, processes: int, accumulate: int) -> Path:
    folder.mkdir()
    started(processes, WORKER, str(folder), str(accumulate))
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


@pytest.mark.slow
def test_devices_share_noise_and_weights_but_no_dropout_resumed_or_not(tmp_path: Path) -> None:
    started(2, WORKER.with_name("dropout_worker.py"), str(tmp_path))
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in (0, 1))
    assert torch.equal(first["straight/table"], second["straight/table"])
    masks = torch.cat([first["straight/mask"], second["straight/mask"]])
    assert len(masks) == 8
    # two that are drawn apart agree in half of their places
    agree = (masks[:, None] == masks[None]).float().mean((2, 3))
    assert (agree - torch.eye(8) / 2 - 0.5).abs().max() < 0.1
    # the noise of a batch is that of one device, each half on one of the two
    torch.manual_seed(1)
    for here, there in zip(first["straight/noise"], second["straight/noise"], strict=True):
        torch.rand(64, 1, 1, 1)  # mirrors images
        assert torch.equal(torch.cat([here, there]), torch.randn(64, 4))
    for each in (first, second):
        assert torch.equal(each["resumed/table"], each["straight/table"])
        for name in ("mask", "noise"):
            assert torch.equal(each[f"resumed/{name}"], each[f"straight/{name}"][2:])


def test_noise_depends_neither_on_what_is_dropped_nor_on_pieces() -> None:
    for accumulate in (1, 4):
        model = Dropping()
        torch.manual_seed(1)
        fit(TrainingModule(model, torch.optim.SGD, Constant(), 256, accumulate=accumulate), 256, [])
        drawn = torch.cat(model.drawn["noise"])
        torch.manual_seed(1)
        assert torch.equal(drawn, torch.cat([torch.randn(64, 4) for _ in range(4)]))
        assert torch.cat(model.drawn["mask"]).mean() == pytest.approx(1.0, abs=0.05)


class Faulty(Regression):
    """What the worker's batches are together."""

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        bad = round(self.progress * 10) in (2, 5)
        return {"loss": super().loss(batch, noise)["loss"] * (math.nan if bad else 1.0)}


@pytest.mark.slow
def test_devices_skip_together_and_each_tells_where_it_hangs(tmp_path: Path) -> None:
    started(2, WORKER.with_name("health_worker.py"), str(tmp_path))
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert first.pop("skipped").tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2]

    # as if the whole batches were no good
    torch.manual_seed(0)
    alone = TrainingModule(Faulty(), lambda p: torch.optim.Adam(p, lr=0.01), Constant(), 640, nonfinite="skip")
    fit(alone, 640, [])
    there = alone.raw_state_dict() | {f"average of {name}": value for name, value in alone.ema.state_dict().items()}
    assert there.keys() == first.keys()
    for name, value in there.items():
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-6)

    told = [(tmp_path / f"hang-rank{rank}.txt").read_text() for rank in (0, 1)]
    assert "rank 0: no batch was finished for 0.5 s; 448 images seen, in the phase communication" in told[0]
    assert "in average_gradients\n" in told[0]
    assert "rank 1: no batch was finished for 0.5 s; 448 images seen, in the phase forward_backward" in told[1]
    assert "in nap\n" in told[1]
    # none of the second waiting for the first, which takes its time off the clock
    assert [text.count("no batch was finished") for text in told] == [1, 1]
