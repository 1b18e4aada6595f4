"""trainer.precision=16-mixed: losses are scaled, and what that must not disturb. The arithmetic is tried on the CPU."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from scaled_models import SPEC, Perceptron, fit, module, scaler
from torch.nn.utils import clip_grad_norm_

from genbench.core import Batch, TrainingError
from genbench.core.model import Losses
from genbench.data.digits import Digits
from genbench.data.order import BatchOrder
from genbench.families.gan import DCGAN
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.lr import Cosine
from genbench.training.recorder import Recorder

WORKER = Path(__file__).with_name("scaled_worker.py")


@pytest.mark.parametrize("pieces", [1, 2])
def test_equals_a_bare_scaled_loop_bit_for_bit_through_skipped_steps_and_growth(pieces: int) -> None:
    torch.manual_seed(0)
    model = Perceptron()
    bare, start = copy.deepcopy(model), scaler(2.0**26)
    fit(module(model, 1280, accumulate=pieces), 1280, start)

    digits, ours = Digits().table("train"), scaler(2.0**26)
    optimizer = torch.optim.Adam(bare.parameters(), lr=0.01)
    seen, scales = 0, []
    for indices in BatchOrder(len(digits), 5, 64, 0, 1280):
        images = digits.take(indices)
        image = (images.image.float() * (16 / 255)).round() * (2 / 16) - 1
        optimizer.zero_grad()
        for part in Batch(image, images.label, None, torch.arange(len(image))).split(pieces):
            with torch.autocast("cpu", torch.float16, cache_enabled=False):
                loss = bare.distance(part)
            ours.scale(loss / pieces).backward()
        ours.unscale_(optimizer)
        clip_grad_norm_(bare.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = 0.01 * Cosine(warmup=100).factor(seen, 1280)
        ours.step(optimizer)
        ours.update()
        scales.append(ours.get_scale())
        seen += len(image)
    changes = [b / a for a, b in zip([2.0**26, *scales], scales, strict=False)]
    assert 0.5 in changes
    assert 2.0 in changes
    assert torch.equal(model.layer.weight, bare.layer.weight)
    assert start.state_dict() == ours.state_dict()


class Crash(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if pl_module.images_seen >= 192:
            raise RuntimeError("pulled the plug")


def test_a_gan_that_is_interrupted_goes_on_with_its_scale(tmp_path: Path) -> None:
    def run(*callbacks: pl.Callback, ckpt: Path | None = None) -> tuple[DCGAN, torch.amp.GradScaler]:
        torch.manual_seed(0)
        model, ours = DCGAN(SPEC, channels=(2, 2), latent=4, embedding=4), scaler(2.0**20)
        fit(module(model, 384), 384, ours, *callbacks, ckpt=ckpt)
        return model, ours

    straight, scale = run(Recorder(128))
    recorder, path = Recorder(128), tmp_path / "c.ckpt"
    with pytest.raises(RuntimeError, match="plug"):
        run(recorder, ResumeCheckpoint(path, tmp_path / "p.ckpt", 128, recorder), Crash())
    saved = torch.load(path, weights_only=True)["MixedPrecision"]
    assert saved["scale"] != 2.0**20
    resumed, there = run(Recorder(128), ckpt=path)
    assert there.state_dict() == scale.state_dict()
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in straight.state_dict().items())


class Logged(pl.loggers.logger.DummyLogger):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, float]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.records.append(metrics)


def test_a_step_that_the_scaler_skips_is_no_ruin() -> None:
    torch.manual_seed(0)
    model, log = Perceptron(), Logged()
    before = copy.deepcopy(model.state_dict())
    fit(module(model, 64), 64, scaler(2.0**40), Recorder(64), logger=log)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert (log.records[0]["grad_norm"], log.records[0]["loss_scale"]) == (0.0, 2.0**39)


def test_what_a_scaler_leaves_out_is_no_skip() -> None:
    states = []
    for policy in ("stop", "skip"):
        torch.manual_seed(0)
        model, log, start = Perceptron(), Logged(), scaler(2.0**40)  # too large for more batches than may be skipped
        ours = module(model, 1280, nonfinite=policy)
        fit(ours, 1280, start, Recorder(64), logger=log)
        assert sum(record["grad_norm"] == 0.0 for record in log.records) > 10
        if policy == "skip":
            assert {record["skipped"] for record in log.records} == {0}
        states.append({**model.state_dict(), "average": ours.ema.state_dict()["layer.weight"]})
    assert start.get_scale() < 2.0**40
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


class Ruined(Perceptron):
    """A finite loss with gradients that are none, at whatever scale."""

    def distance(self, batch: Batch) -> torch.Tensor:
        distance = super().distance(batch)
        distance.register_hook(lambda gradient: gradient * torch.nan)
        return distance


def test_gradients_that_no_scale_mends_stop_the_training() -> None:
    # 1 is halved to 1/2 after the first batch, and the second is told
    with pytest.raises(TrainingError, match=r"grad_norm is nan at 128 images seen"):
        fit(module(Ruined(), 640), 640, scaler(1.0), Recorder(64))
    # skipped are those from the second on
    with pytest.raises(TrainingError, match=r"not finite 10 times in a row, the last at 704 images seen"):
        fit(module(Ruined(), 1280, nonfinite="skip"), 1280, scaler(1.0), Recorder(64))


@pytest.mark.slow
def test_a_device_whose_gradients_overflow_makes_all_skip(tmp_path: Path) -> None:
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", str(WORKER), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(one["weight"], other["weight"])
    assert one["scales"] == other["scales"]
    # the second batch overflowed, on the second device alone
    assert one["scales"][:3] == [1024.0, 512.0, 512.0]


def test_losses_reach_the_backward_pass_in_half_precision() -> None:
    seen: list[torch.dtype] = []

    class Watched(Perceptron):
        def loss(self, batch: Batch, noise: object) -> Losses:
            seen.append(self.layer(self.onehot(batch)).dtype)
            return {"loss": self.distance(batch)}

    fit(module(Watched(), 64), 64, scaler(1024.0))
    assert seen == [torch.float16]
    assert MixedPrecision("16-mixed", "cpu").scaler is not None
