"""Averages of any length from a run's snapshots: through training, interruption, sampling and its errors."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import Train, command, digest, files

from genbench.app.build import load_model
from genbench.core import ConfigError, RunError
from genbench.training.power_ema import LENGTHS

EVERY = "training.ema_snapshot_every=64"


def test_snapshots_are_kept_and_change_no_weight(tiny: Train) -> None:
    without, run = tiny("vae", folder="a"), tiny("vae", "training.ema_snapshot_every=200", folder="b")
    assert digest(without.weights) == digest(run.weights)
    names = [f"images-{images:012d}.safetensors" for images in (256, 448, 640)]  # ends of batches of 64; and the end
    assert sorted(path.name for path in run.averages.iterdir()) == names


@pytest.mark.parametrize("length", LENGTHS)
def test_a_tracked_average_comes_back_exactly(tiny: Train, length: float) -> None:
    run = tiny("vae", EVERY)
    last = load_file(run.averages / f"images-{640:012d}.safetensors")
    model = load_model(run, weights=length)
    for name, value in model.named_parameters():
        torch.testing.assert_close(value, last[f"{length}/{name}"], rtol=1e-6, atol=1e-7)


def test_samples_are_drawn_with_the_average_asked_for_and_nothing_is_overwritten(tiny: Train, tmp_path: Path) -> None:
    run = tiny("vae", EVERY, "lr_scheduler.warmup=0", "optimizer.lr=1e-2")
    before = files(run.path)
    for weights in ("ema", "0.2"):
        command("sample", f"run={run.path}", "n=4", f"weights={weights}")
    after = files(run.path)
    assert {name: after[name] for name in before} == before
    assert {"ema/length-0.2.safetensors", "samples/n4_seed0.npz", "samples/n4_seed0_weights0.2.npz"} <= after.keys()
    assert after["samples/n4_seed0.npz"][0] != after["samples/n4_seed0_weights0.2.npz"][0]


def test_an_interrupted_training_keeps_the_same_snapshots(tiny: Train, unplug: Callable[..., None]) -> None:
    straight = tiny("vae", EVERY, folder="straight")
    unplug(1, "vae", EVERY, "training.checkpoint_every=300", folder="cut")
    unplug(1, "vae", "training.checkpoint_every=300", folder="late")
    resumed = tiny("vae", EVERY, folder="cut")
    assert [digest(p) for p in sorted(resumed.averages.iterdir())] == [
        digest(p) for p in sorted(straight.averages.iterdir())
    ]
    with pytest.raises(RunError, match=r"first 320 images .*ema_snapshot_every=null"):
        tiny("vae", EVERY, folder="late")


def test_averages_that_cannot_be_had_are_refused(tiny: Train) -> None:
    run = tiny("vae", "training.ema_snapshot_every=320")
    with pytest.raises(ConfigError, match=r"the 2 snapshots in .* relative length 0\.2 than \d+%: choose one nearer"):
        load_model(run, weights=0.2)
    with pytest.raises(ConfigError, match=r"at most 0\.2887"):
        load_model(run, weights=1)
    with pytest.raises(ConfigError, match=r"training\.ema_snapshot_every=IMAGES"):
        load_model(tiny("vae", folder="none"), weights=0.1)
