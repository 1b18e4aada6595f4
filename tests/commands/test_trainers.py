"""What trainers and precisions do in a real training, and what of them a machine refuses."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_runs import TINY, Train, digest

from genbench.app.build import resolve
from genbench.app.compose import compose
from genbench.app.launch import check_accelerator
from genbench.core import ConfigError, RunError, TrainingError
from genbench.families.vae import VAE
from genbench.identity import recipe_hash
from genbench.run import Run
from genbench.training.ema import EMA
from genbench.training.jsonl import read_log

SHORT = ("budget.images=128", "training.log_every=64")


def settings() -> tuple[str, bool, bool]:
    return (
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
    )


def test_torch_computes_as_told_while_training_lasts_and_as_before_afterwards(
    tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen, update = settings(), set(), EMA.update

    def look(self: EMA, images: int, batch: int) -> None:
        seen.add(settings())
        update(self, images, batch)

    monkeypatch.setattr(EMA, "update", look)
    run = tiny("vae", *SHORT, "trainer=debug", "training.matmul_precision=medium")
    assert run.summary["images"] == 128
    assert seen == {("medium", True, True)}
    assert settings() == before
    with pytest.raises(RunError, match=r"training\.matmul_precision: medium there, highest here"):
        tiny("vae", *SHORT, "trainer=debug")


def test_debugging_names_the_line_of_a_gradient_that_is_nan(tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, before = VAE.loss, settings()

    def ruined(self: VAE, *arguments) -> dict[str, torch.Tensor]:
        losses = loss(self, *arguments)
        return losses | {"loss": losses["loss"] + (losses["loss"] * 0.0).sqrt() * 0.0}  # the ruin

    monkeypatch.setattr(VAE, "loss", ruined)
    with (
        pytest.warns(UserWarning, match="the ruin"),
        pytest.raises(TrainingError, match=r"'SqrtBackward0' returned nan values .* after 0 images: its line"),
    ):
        tiny("vae", *SHORT, "trainer=debug")
    assert settings() == before


def test_recomputing_can_be_taken_up_when_memory_runs_out_and_changes_no_weight(
    tiny: Train, unplug: Callable[..., None]
) -> None:
    small = ("backbone=dit_digits", "backbone.width=16", "backbone.layers=2", "training.checkpoint_every=64", *SHORT)
    straight = tiny("ddpm", *small, folder="straight")
    unplug(1, "ddpm", *small)
    resumed = tiny("ddpm", *small, "training.activation_checkpointing=true")
    assert digest(resumed.weights) == digest(straight.weights)


def test_a_noise_schedule_is_refused_where_there_is_no_float64(
    tiny: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for trainer, kind in (("mps", "mps"), ("auto", "auto")):
        with pytest.raises(ConfigError, match=rf"^trainer.accelerator={kind}: noise schedules .* use trainer=cpu$"):
            tiny("ddpm", *SHORT, f"trainer={trainer}")
    assert list(tmp_path.iterdir()) == []
    check_accelerator(compose("train", ["model=ddpm", "trainer=cpu"]))
    check_accelerator(compose("train", ["model=vae", "trainer=mps"]))


def curves(folder: Path, trainer: str, devices: int, model: str, precision: str) -> torch.Tensor:
    """Losses and gradient norms of a training in processes of its own."""
    here = (f"trainer={trainer}", f"trainer.devices={devices}", f"trainer.precision={precision}", f"run_dir={folder}")
    command = [sys.executable, "-m", "genbench", "train", f"model={model}", *TINY, "training.log_every=64", *here]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    records = read_log(Run(folder).log)
    return torch.tensor([[r[key] for key in sorted(r) if "loss" in key or "norm" in key] for r in records])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize(("precision", "rtol", "atol"), [("32-true", 1e-3, 1e-4), ("bf16-mixed", 3e-2, 1e-2)])
@pytest.mark.parametrize("model", ["ddpm", "dcgan"])
def test_the_losses_of_a_sharded_model_are_those_of_a_whole_one(
    model: str, precision: str, rtol: float, atol: float, devices: int, tmp_path: Path
) -> None:
    if devices > torch.cuda.device_count():
        pytest.skip("needs two CUDA GPUs")
    whole = curves(tmp_path / "whole", "gpu", 1, model, precision)
    sharded = curves(tmp_path / "sharded", "fsdp", devices, model, precision)
    torch.testing.assert_close(sharded, whole, rtol=rtol, atol=atol)


def test_a_run_is_the_same_experiment_on_one_gpu_on_copies_and_on_parts() -> None:
    trainers = ("gpu", "ddp", "fsdp")
    assert len({recipe_hash(resolve(compose("train", [f"trainer={name}"])), None) for name in trainers}) == 1


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["trainer=mps"],
            "trainer.accelerator=mps: this machine has no GPU of Apple's: use trainer=auto or",
        ),
        (["trainer=gpu"], "trainer.accelerator=gpu: this machine has no GPU: use trainer=auto or trainer=cpu"),
        (
            ["trainer.precision=16-mixed"],
            "is for CUDA's GPUs, and this machine has none: use trainer.precision=bf",
        ),
        (
            ["trainer.precision=16-mixed", "+optimizer.fused=true"],
            "use optimizer.fused=false, or trainer.precision=",
        ),
        (
            ["trainer.strategy=fsdp"],
            "trainer.strategy=fsdp: several devices train by trainer=ddp, a copy of the model on",
        ),
        (["trainer=fsdp"], "trainer.accelerator=gpu: this machine has no GPU: use trainer=auto or trainer=cpu"),
        (
            ["trainer=fsdp", "trainer.accelerator=cpu"],
            "trainer.accelerator=cpu: trainer=fsdp shards models over CUDA's GPUs alone: use trainer.acc",
        ),
        (
            ["trainer=fsdp", "trainer.precision=16-mixed"],
            "trainer.precision=16-mixed: trainer=fsdp does not scale losses: use trainer.precision=bf16-mixed",
        ),
        (
            ["trainer=fsdp", "training.compile=true"],
            "training.compile=true does not go with trainer=fsdp: use training.compile=false or trainer=ddp",
        ),
        (
            ["trainer=fsdp", "optimizer=muon"],
            "optimizer=muon takes whole matrices, of which trainer=fsdp leaves each process some rows: use",
        ),
        (["trainer=fsdp", "training.channels_last=true"], "use training.channels_last=false or trainer=ddp"),
        (["training.activation_checkpointing=true"], "nothing of a VAE is made to be computed again: use training.act"),
    ],
)
def test_what_is_not_to_be_had_is_refused_before_any_folder(
    overrides: list[str], message: str, tiny: Train, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        tiny("vae", *SHORT, *overrides)
    assert list(tmp_path.iterdir()) == []
