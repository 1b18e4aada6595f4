import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest
import torch
from filelock import FileLock
from tiny_runs import FAMILIES, Train, digest, files

from genbench.app.build import load_model
from genbench.core import ConfigError, DataError, RunError, TrainingError
from genbench.data.digits import Digits
from genbench.families import vae
from genbench.run import Run
from genbench.training.jsonl import read_log
from genbench.training.preview import Preview
from genbench.training.probe import Probe


@pytest.mark.parametrize("model", FAMILIES)
def test_a_repeated_seed_gives_identical_weights_and_another_seed_does_not(model: str, tiny: Train) -> None:
    runs = ((5, "a"), (5, "b"), (6, "c"))
    once, again, other = (tiny(model, "budget.images=192", f"seed={seed}", folder=name) for seed, name in runs)
    assert digest(once.weights) == digest(again.weights)
    assert digest(once.weights) != digest(other.weights)


@pytest.mark.parametrize("model", FAMILIES)
def test_interrupted_equals_uninterrupted(model: str, tiny: Train, unplug: Callable[..., None]) -> None:
    straight = tiny(model, folder="straight")
    unplug(1, model, "training.checkpoint_every=300", folder="cut")
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
    assert all({"fd", "kid", "is"} <= probe.keys() for probe in probes)
    assert with_previews.summary["selected"] is None
    assert {p.name for p in with_previews.samples.iterdir()} == {"0000000320.png", "0000000640.png"}


@pytest.mark.parametrize(("reported", "other", "size"), [("test", "train", 1000), ("train", "test", 360)])
def test_previews_compare_with_a_few_images_that_are_not_reported(
    reported: str, other: Literal["train", "test"], size: int, tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[torch.Tensor] = []

    def watched(self: Probe, extractor: torch.nn.Module, real: torch.Tensor, batch: int, init=Probe.__init__) -> None:
        compared.append(real)
        init(self, extractor, real, batch)

    monkeypatch.setattr(Probe, "__init__", watched)
    tiny("vae", "budget.images=128", "training.preview_every=64", f"++protocol.reference={reported}")
    (real,) = compared  # once for two previews
    table = Digits().table(other)
    held = {image.numpy().tobytes() for image in table.take(range(len(table))).image}
    assert len(real) == size
    assert {image.numpy().tobytes() for image in real} <= held


SELECTING = ("budget.images=256", "training.preview_every=64", "training.select=fd", "lr_scheduler=constant")


def scripted(monkeypatch: pytest.MonkeyPatch, values: Sequence[float]) -> None:
    """In the place of what previews measure: these numbers, by the images in the order of their looks."""
    known: dict[bytes, float] = {}
    left = iter(values)

    def measured(self: Probe, images: torch.Tensor) -> dict[str, float]:
        content = images.numpy().tobytes()
        if content not in known:
            known[content] = next(left)
        return {"fd": known[content], "kid": 0.0}

    monkeypatch.setattr(Probe, "__call__", measured)


def test_the_selected_weights_are_those_of_a_training_that_ended_there(
    tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [9.0, 4.0, 6.0, 5.0])
    run = tiny("vae", *SELECTING, folder="selected")
    assert run.summary["selected"] == {"metric": "fd", "images": 128, "value": 4.0, "tried": 4}
    there = tiny("vae", "budget.images=128", "lr_scheduler=constant", folder="short")
    last = tiny("vae", "budget.images=256", "lr_scheduler=constant", folder="long")
    assert digest(run.weights) == digest(there.weights) != digest(last.weights)
    # raw weights are those of the last step, selection or not
    assert digest(run.weights_of("raw")) == digest(last.weights_of("raw")) != digest(last.weights)
    assert not run.best.exists()


@pytest.mark.parametrize("values", [[9.0, 4.0, 6.0, 5.0], [9.0, 6.0, 4.0, 5.0], [4.0, 6.0, 5.0, 3.0]])
def test_an_interrupted_selection_equals_an_uninterrupted_one(
    values: list[float], tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, values)
    straight = tiny("vae", *SELECTING, folder="straight")
    with monkeypatch.context() as patch:
        patch.setattr(Preview, "_save", die_at(192, Preview._save))
        with pytest.raises(RuntimeError, match="plug"):
            tiny("vae", *SELECTING, "training.checkpoint_every=128", folder="cut")
    cut = Run(straight.path.parent / "cut")
    # beyond its last checkpoint the lost attempt had kept other weights
    cut.best.write_bytes(b"of the lost attempt")
    resumed = tiny("vae", *SELECTING, "training.checkpoint_every=128", folder="cut")
    assert digest(resumed.weights) == digest(straight.weights)
    assert resumed.summary["selected"] == straight.summary["selected"]
    assert straight.summary["selected"]["tried"] == 4


def die_at(images: int, save: Callable[..., None]) -> Callable[..., None]:
    def dying(self: Preview, sheet: object, seen: int) -> None:
        if seen == images:
            raise RuntimeError("pulled the plug")
        save(self, sheet, seen)

    return dying


def test_selection_needs_previews_and_makes_them_part_of_the_experiment(tiny: Train, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.select=kid chooses among previews.*set training\.preview_every"):
        tiny("vae", "training.select=kid")
    with pytest.raises(ConfigError, match=r"training\.select.*loss"):
        tiny("vae", "training.select=loss", "training.preview_every=64")
    assert list(tmp_path.iterdir()) == []
    by_kid = ("budget.images=128", "training.select=kid", "training.preview_every=64")
    selected = tiny("vae", *by_kid).summary["selected"]
    (first, second) = (r["kid"] for r in read_log(tmp_path / "run" / "log.jsonl") if "kid" in r)
    assert (selected["value"], selected["images"]) == min((first, 64), (second, 128))
    with pytest.raises(RunError, match=r"training\.preview_every: 64 there, 32 here"):
        tiny("vae", *by_kid, "training.preview_every=32")


def test_without_an_average_raw_weights_are_the_weights(tiny: Train) -> None:
    run = tiny("dcgan", "budget.images=64", "training.ema_half_life=0")
    assert run.weights_of("raw") == run.weights
    assert not run.raw.exists()


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
    before = {
        p: (digest(p), p.stat().st_mtime_ns)
        for p in run.path.rglob("*")
        if p.is_file() and not p.name.endswith(".lock")
    }
    tiny("vae")
    assert before == {p: (digest(p), p.stat().st_mtime_ns) for p in before}


def test_another_experiment_in_the_same_folder_is_refused(tiny: Train) -> None:
    tiny("vae")
    with pytest.raises(RunError, match="seed: 0 there, 9 here"):
        tiny("vae", "seed=9")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["optimizer.lr=-1"], r"^optimizer\.lr=-1: "),
        (["optimizer=sgd", "optimizer.momentum=-2"], r"^optimizer\.momentum=-2"),
        (["optimizer=muon", "optimizer.momentum=2"], r"^optimizer\.momentum=2: .*less than 1"),
        (["optimizer=muon", "optimizer.weight_decay=-1.0"], r"^optimizer\.weight_decay=-1\.0: "),
        (["optimizer=adam", "optimizer.betas=[0.9,1.5]"], r"^optimizer\.betas=\[0\.9, 1\.5\]: "),
        (["optimizer=sgd", "optimizer.momentum=0.0"], r"^optimizer\.momentum=0\.0, optimizer\.nesterov=True: "),
        (["optimizer=adam", "+optimizer.fused=true", "+optimizer.foreach=true"], r"^optimizer\.fused=True, .*foreach"),
        (["lr_scheduler.warmup=-1"], r"^lr_scheduler\.warmup is -1; expected 0 or more"),
        (["training.clip=-1.0"], r"^training\.clip = -1\.0: expected greater than 0"),
        (["training.accumulate=0"], r"^training\.accumulate = 0: expected greater"),
    ],
)
def test_values_that_no_training_can_have_leave_no_folder(tiny: Train, tmp_path: Path, values, told) -> None:
    with pytest.raises(ConfigError, match=told):
        tiny("vae", *values)
    assert not list(tmp_path.iterdir())


def test_the_second_of_two_trainings_of_one_folder_waits_for_the_first(
    tiny: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = tiny("vae")
    before = files(first.path)
    lock = FileLock(first.path / ".lock")
    lock.acquire()
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(tiny, "vae")
        while "another process is training in" not in caplog.text:
            assert not second.done()
            time.sleep(0.01)
        lock.release()
        second.result(60.0)
    assert "is finished already" in caplog.text
    assert files(first.path) == before


def test_a_loss_that_explodes_is_told_with_its_image_count_and_can_be_resumed_from(
    tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    likelihood, calls = vae.discretised_logistic, []

    def spoiled(*args, **kwargs):
        calls.append(1)
        return likelihood(*args, **kwargs) * (float("nan") if len(calls) == 2 + 8 else 1.0)  # two to count operations

    with monkeypatch.context() as patch:
        patch.setattr(vae, "discretised_logistic", spoiled)
        with pytest.raises(TrainingError, match="at 512 images seen"):
            tiny("vae", "training.checkpoint_every=128", folder="bad")
    straight = tiny("vae", "training.checkpoint_every=128", folder="good")
    assert digest(tiny("vae", "training.checkpoint_every=128", folder="bad").weights) == digest(straight.weights)


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """One bit in the middle: the file opens as before."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [truncated, flipped])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    damage: Callable[[bytes], bytes], tiny: Train, unplug: Callable[..., None], tmp_path: Path, caplog
) -> None:
    straight = tiny("vae", folder="straight")
    unplug(2, "vae", "training.checkpoint_every=128")
    newest, before = tmp_path / "run/checkpoint.ckpt", tmp_path / "run/previous.ckpt"
    newest.write_bytes(damage(newest.read_bytes()))
    run = tiny("vae", "training.checkpoint_every=128")
    assert f"cannot read the checkpoint {newest}" in caplog.text
    assert "taking the one before" in caplog.text
    assert f"resuming {run.path} at 128 images" in caplog.text
    assert digest(run.weights) == digest(straight.weights)
    assert not newest.exists()
    assert not before.exists()


def test_a_death_between_the_two_files_is_resumed_from_the_one_that_is_there(
    tiny: Train, unplug: Callable[..., None], tmp_path: Path, caplog
) -> None:
    straight = tiny("vae", folder="straight")
    unplug(1, "vae", "training.checkpoint_every=128")
    (tmp_path / "run/checkpoint.ckpt").replace(tmp_path / "run/previous.ckpt")
    run = tiny("vae", "training.checkpoint_every=128")
    assert f"resuming {run.path} at 128 images" in caplog.text
    assert "cannot read" not in caplog.text
    assert digest(run.weights) == digest(straight.weights)


def test_checkpoints_of_which_none_can_be_read_are_named_and_left(
    tiny: Train, unplug: Callable[..., None], tmp_path: Path
) -> None:
    unplug(2, "vae", "training.checkpoint_every=256")
    both = [tmp_path / "run" / name for name in ("checkpoint.ckpt", "previous.ckpt")]
    contents = [damage(path.read_bytes()) for path, damage in zip(both, (truncated, flipped), strict=True)]
    for path, content in zip(both, contents, strict=True):
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"cannot read the checkpoint .*delete .*ckpt to train from the start"):
        tiny("vae", "training.checkpoint_every=256")
    assert [path.read_bytes() for path in both] == contents
    for path in both:
        path.unlink()
    assert tiny("vae", "training.checkpoint_every=256").finished


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
    short = ("budget.images=32", "budget.batch_size=8", "training.log_every=8")
    run = tiny(model, *short, "trainer.precision=bf16-mixed", "training.accumulate=2", "model.conditional=false")
    losses = [r["loss"] for r in read_log(run.log) if "loss" in r] or [
        r["generator_loss"] for r in read_log(run.log) if "generator_loss" in r
    ]
    assert len(losses) == 4
    assert all(torch.tensor(losses).isfinite())
