"""The Lightning module against a bare loop, and what may not depend on how it is driven."""

import copy
import math
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from tiny_trainings import SPEC, Crash, Regression, fit, module
from torch import nn

from genbench.core import Batch, ConfigError, Noise, RunError, TrainingError
from genbench.core.model import Losses
from genbench.data.digits import Digits
from genbench.data.order import BatchOrder
from genbench.families.gan import DCGAN
from genbench.training.checkpoint import InPlace, ResumeCheckpoint, read
from genbench.training.lr import Constant, Cosine
from genbench.training.module import TrainingModule
from genbench.training.recorder import Recorder


class Exploding(Regression):
    """A loss that stops being finite at a given call."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.calls, self.bad = 0, call

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        self.calls += 1
        factor = math.nan if self.calls == self.bad else 1.0
        return {"loss": self.table(batch.label).square().mean() * factor}


def test_equals_a_bare_loop_bit_for_bit() -> None:
    torch.manual_seed(0)
    model = Regression()
    bare = copy.deepcopy(model)
    ours = module(model, 1000)
    fit(ours, 1000, [])

    digits = Digits().table("train")
    optimizer = torch.optim.Adam(bare.parameters(), lr=0.01)
    schedule, shadow, seen = Cosine(warmup=100), bare.table.weight.detach().clone(), 0
    for indices in BatchOrder(len(digits), 5, 64, 0, 1000):
        images = digits.take(indices)
        level = (images.image.float() * (16 / 255)).round()
        target = level * (2 / 16) - 1
        loss = (bare.table(images.label) - target.flatten(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(bare.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = 0.01 * schedule.factor(seen, 1000)
        optimizer.step()
        seen += len(images.image)
        shadow.lerp_(bare.table.weight.detach(), 1 - 0.5 ** (len(images.image) / min(500.0, 0.5 * seen)))
    assert seen == ours.images_seen == 1000
    assert torch.equal(model.table.weight, bare.table.weight)
    assert torch.equal(ours.averaged_state_dict()["table.weight"], shadow)


def test_accumulation_changes_nothing_but_rounding() -> None:
    torch.manual_seed(0)
    whole = Regression().double()
    pieces = copy.deepcopy(whole)
    for model, parts in ((whole, 1), (pieces, 5)):
        fit(module(model, 640, accumulate=parts), 640, [])
    torch.testing.assert_close(whole.table.weight, pieces.table.weight, rtol=1e-9, atol=1e-9)


class Watch(pl.Callback):
    """Remembers which parameters each optimiser step moved."""

    def __init__(self) -> None:
        self.moved: list[set[str]] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        graded = {name.split(".")[0] for name, p in pl_module.model.named_parameters() if p.grad is not None}
        self.moved.append({name.split(".")[0] for name, p in pl_module.model.named_parameters() if id(p) in held})
        assert self.moved[-1] <= graded


def test_a_gan_makes_two_moves_per_batch_on_one_clock() -> None:
    torch.manual_seed(0)
    gan = DCGAN(SPEC, channels=(8, 8))
    watch, ours = Watch(), module(gan, 320)
    fit(ours, 320, [watch])
    assert watch.moved == [{"discriminator"}, {"generator"}] * 5
    assert ours.images_seen == 320
    assert {name.split(".")[0] for name in ours.ema.shadow} == {"generator"}
    averaged = ours.averaged_state_dict()
    assert torch.equal(averaged["discriminator.logit.weight"], gan.discriminator.logit.weight)
    assert averaged.keys() == gan.state_dict().keys()


def test_interrupted_equals_uninterrupted(tmp_path: Path) -> None:
    def start() -> TrainingModule:
        torch.manual_seed(0)
        return module(DCGAN(SPEC, channels=(8, 8)), 1500)

    straight = start()
    torch.manual_seed(1)
    fit(straight, 1500, [Recorder(300)])

    interrupted, recorder = start(), Recorder(300)
    torch.manual_seed(1)
    with pytest.raises(RuntimeError, match="plug"):
        fit(
            interrupted,
            1500,
            [recorder, ResumeCheckpoint(tmp_path / "c.ckpt", tmp_path / "p.ckpt", 400, recorder), Crash(900)],
        )

    resumed, recorder = start(), Recorder(300)
    torch.manual_seed(99)  # the stream of random numbers comes from the checkpoint
    fit(resumed, 1500, [recorder], tmp_path / "c.ckpt")
    assert resumed.images_seen == straight.images_seen == 1500
    for name, value in straight.averaged_state_dict().items():
        assert torch.equal(value, resumed.averaged_state_dict()[name]), name


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    recorder, path, before = Recorder(64), tmp_path / "c.ckpt", tmp_path / "p.ckpt"
    with pytest.raises(TrainingError, match=r"loss is nan at 384 images seen"):
        fit(
            module(Exploding(call=6), 1000),
            1000,
            [recorder, ResumeCheckpoint(path, before, 128, recorder)],
        )
    saved = torch.load(path, weights_only=True)
    assert saved["genbench"]["images_seen"] == 256
    assert all(v.isfinite().all() for v in saved["state_dict"].values())


def test_the_alarm_names_the_image_count_of_the_first_bad_batch() -> None:
    with pytest.raises(TrainingError, match=r"loss is nan at 192 images seen"):
        fit(module(Exploding(call=3), 1000), 1000, [Recorder(10_000)])


def test_a_checkpoint_that_cannot_be_written_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, path, before = Recorder(64), tmp_path / "c.ckpt", tmp_path / "p.ckpt"
    path.write_bytes(b"old")

    def full(state, path) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file: No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match="No space left on device"):
        fit(module(Regression(), 640), 640, [recorder, ResumeCheckpoint(path, before, 128, recorder)])
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("c.ckpt", b"old")]


def test_what_is_kept_for_good_does_not_depend_on_who_else_saves(tmp_path: Path) -> None:
    recorder, path = Recorder(64), tmp_path / "c.ckpt"
    checkpoint = ResumeCheckpoint(path, tmp_path / "p.ckpt", 10_000, recorder, keep_every=256)

    class Saves(pl.Callback):
        def on_train_batch_end(self, trainer, module, *others) -> None:
            if module.images_seen in (320, 512):
                checkpoint.save(trainer, module)

    fit(module(Regression(), 640), 640, [recorder, Saves(), checkpoint, Saves()])
    kept = {path.name: read(path)["genbench"]["images_seen"] for path in (tmp_path / "checkpoints").iterdir()}
    assert kept == {"0000000256.ckpt": 256, "0000000512.ckpt": 512}
    assert read(path)["genbench"]["images_seen"] == 512
    assert not list(tmp_path.rglob("*.partial"))


def test_a_disk_that_is_really_full_is_told_as_one() -> None:
    with pytest.raises(OSError, match="inline_container"):
        InPlace().save_checkpoint({"weights": torch.zeros(1_000_000)}, "/dev/full")


@pytest.mark.parametrize("options", [{"accumulate": 0}, {"clip": 0.0}])
def test_values_without_meaning_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match=f"training.{next(iter(options))}"):
        TrainingModule(Regression(), lambda p: torch.optim.Adam(p), Constant(), 100, **options)


def test_channels_last_changes_neither_names_nor_weights_but_for_rounding() -> None:
    states = []
    for channels_last in (False, True):
        torch.manual_seed(0)
        model = DCGAN(SPEC, channels=(8, 8), latent=4, embedding=6)
        ours = module(model, 320, channels_last=channels_last)
        fit(ours, 320, [])
        strided = any(not p.is_contiguous() for p in model.parameters())
        assert strided is channels_last
        states.append(ours.averaged_state_dict())
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=2e-3)


def test_a_compiled_network_trains_the_same_weights_under_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def pretend(self: nn.Module) -> None:
        compiled.append(self)
        self._compiled_call_impl = self._call_impl

    monkeypatch.setattr(nn.Module, "compile", pretend)
    states = []
    for compile in (False, True):
        torch.manual_seed(0)
        model = Regression()
        ours = module(model, 320, compile=compile)
        fit(ours, 320, [])
        states.append(ours.state_dict())
    assert compiled == [model.network]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.slow
def test_a_really_compiled_network_trains_the_same_weights_but_for_rounding() -> None:
    states = []
    for compile in (False, True):
        torch.manual_seed(0)
        model = DCGAN(SPEC, channels=(8, 8), latent=4, embedding=6)
        ours = module(model, 192, compile=compile)
        fit(ours, 192, [])
        states.append(ours.averaged_state_dict())
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=2e-3)
