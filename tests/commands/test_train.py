import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import Train

from genbench.app.build import load_model
from genbench.core import ConfigError, DataError, RunError, TrainingError
from genbench.families import vae
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.jsonl import read_log

FAMILIES = ("vae", "dcgan", "pixel_gpt", "ddpm")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("model", FAMILIES)
def test_a_repeated_seed_gives_identical_weights_and_another_seed_does_not(model: str, tiny: Train) -> None:
    once, again, other = (tiny(model, f"seed={seed}", folder=name) for seed, name in ((5, "a"), (5, "b"), (6, "c")))
    assert digest(once.weights) == digest(again.weights)
    assert digest(once.weights) != digest(other.weights)


def save_and_die(self: ResumeCheckpoint, trainer, module, save=ResumeCheckpoint.save) -> None:
    """In the place of `ResumeCheckpoint.save`: the power goes right after the first checkpoint."""
    save(self, trainer, module)
    raise RuntimeError("pulled the plug")


@pytest.mark.parametrize("model", FAMILIES)
def test_interrupted_equals_uninterrupted(model: str, tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = tiny(model, folder="straight")
    with monkeypatch.context() as patch:
        patch.setattr(ResumeCheckpoint, "save", save_and_die)
        with pytest.raises(RuntimeError, match="plug"):
            tiny(model, "training.checkpoint_every=300", folder="cut")
    # how often to save is no part of the experiment: the command may be resumed with another interval
    resumed = tiny(model, "training.checkpoint_every=200", folder="cut")
    assert digest(resumed.weights) == digest(straight.weights)
    images = [record["images"] for record in read_log(resumed.log)]
    assert images == sorted(images)
    assert images[-1] == 640
    assert not resumed.checkpoint.exists()


def test_previews_change_no_weight(tiny: Train) -> None:
    without, with_previews = tiny("dcgan", folder="a"), tiny("dcgan", "training.preview_every=320", folder="b")
    assert digest(without.weights) == digest(with_previews.weights)
    probes = [r for r in read_log(with_previews.log) if "fd" in r]
    assert [r["images"] for r in probes] == [320, 640]
    assert {p.name for p in with_previews.samples.iterdir()} == {"0000000320.png", "0000000640.png"}


def test_the_run_folder_alone_rebuilds_the_model(tiny: Train, tmp_path: Path) -> None:
    run = tiny("pixel_gpt")
    moved = shutil.move(run.path, tmp_path / "elsewhere")
    model = load_model(type(run).open(moved))
    assert not model.training
    assert (
        sum(p.numel() for p in model.parameters()) == json.loads((Path(moved) / "training.json").read_text())["params"]
    )


def test_a_finished_run_is_left_alone(tiny: Train) -> None:
    run = tiny("vae")
    before = {p: (digest(p), p.stat().st_mtime_ns) for p in run.path.rglob("*") if p.is_file() and p.name != ".lock"}
    tiny("vae")
    assert before == {p: (digest(p), p.stat().st_mtime_ns) for p in before}


def test_another_experiment_in_the_same_folder_is_refused(tiny: Train) -> None:
    tiny("vae")
    with pytest.raises(RunError, match="seed: 0 there, 9 here"):
        tiny("vae", "seed=9")


def test_two_trainings_of_one_folder_at_once_are_refused(tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def second(self, trainer, module) -> None:
        if not seen:
            seen.append(1)
            with pytest.raises(RunError, match="another process is training"):
                tiny("vae", "training.checkpoint_every=300")

    monkeypatch.setattr(ResumeCheckpoint, "save", second)
    tiny("vae", "training.checkpoint_every=300")
    assert seen


def test_a_loss_that_explodes_is_told_with_its_image_count_and_can_be_resumed_from(
    tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    likelihood, calls = vae.discretised_logistic, []

    def spoiled(*args, **kwargs):
        calls.append(1)
        return likelihood(*args, **kwargs) * (float("nan") if len(calls) == 8 else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(vae, "discretised_logistic", spoiled)
        with pytest.raises(TrainingError, match="at 512 images seen"):
            tiny("vae", "training.checkpoint_every=128", folder="bad")
    straight = tiny("vae", "training.checkpoint_every=128", folder="good")
    assert digest(tiny("vae", "training.checkpoint_every=128", folder="bad").weights) == digest(straight.weights)


def test_a_damaged_checkpoint_is_named_and_nothing_is_lost(
    tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ResumeCheckpoint, "save", save_and_die)
        with pytest.raises(RuntimeError, match="plug"):
            tiny("vae", "training.checkpoint_every=300")
    path = tmp_path / "run" / "checkpoint.ckpt"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=r"cannot read the checkpoint .*delete it"):
        tiny("vae", "training.checkpoint_every=300")
    assert path.read_bytes() == content[: len(content) // 2]
    path.unlink()
    assert tiny("vae", "training.checkpoint_every=300").finished


def test_weights_of_another_model_are_refused(tiny: Train) -> None:
    a, b = tiny("vae", folder="a"), tiny("vae", "model.latent=5", folder="b")
    shutil.copy(b.weights, a.weights)
    with pytest.raises(RunError, match="belong to another model"):
        load_model(a)
    a.weights.write_bytes(a.weights.read_bytes()[:1000])
    with pytest.raises(RunError, match="cannot read the weights"):
        load_model(a)
    a.weights.unlink()
    with pytest.raises(RunError, match="missing pieces"):
        load_model(a)


def test_errors_come_before_any_folder(tiny: Train, tmp_path: Path) -> None:
    for overrides, error, named in (
        (("scheduler=cosine",), ConfigError, "drop scheduler=cosine|drop it"),
        (("budget.images=many",), ConfigError, "budget.images"),
        (("data.spec.height=9",), DataError, "data.spec.height=8"),
        (("model.channels=[8,8,8,8,8]",), ConfigError, "at most 4 entries"),
    ):
        with pytest.raises(error, match=named):
            tiny("vae", *overrides)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", FAMILIES)
def test_bfloat16_accumulation_and_an_unconditional_model_train(model: str, tiny: Train) -> None:
    run = tiny(model, "trainer.precision=bf16-mixed", "training.accumulate=2", "model.conditional=false")
    losses = [r["loss"] for r in read_log(run.log) if "loss" in r] or [
        r["generator_loss"] for r in read_log(run.log) if "generator_loss" in r
    ]
    assert len(losses) >= 4
    assert all(torch.tensor(losses).isfinite())
