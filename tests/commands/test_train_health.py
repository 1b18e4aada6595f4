"""What `genbench train` records of a training's health, and what it does about losses that are not finite."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_runs import Train, digest

from genbench.app import budget
from genbench.app.compose import compose
from genbench.app.training import open_experiment
from genbench.core import ConfigError, GenerativeModel, RunError
from genbench.data.dataset import ImageDataset
from genbench.families import vae
from genbench.training.jsonl import read_log
from genbench.training.peak import peak_flops


def test_a_run_records_its_health(finished: Train) -> None:
    (record,) = read_log(finished("dcgan", "trainer=cpu").log)
    shares = {key: value for key, value in record.items() if key.startswith("time/")}
    phases = ("data", "forward_backward", "optimizer", "ema", "logging", "rest")
    assert set(shares) == {f"time/{phase}" for phase in phases}
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-3)
    dataset, plain = open_experiment(compose("train", ["model=dcgan"]))
    stream = torch.get_rng_state()
    flops, peak = budget.flops_per_image(plain, dataset), peak_flops(torch.device("cpu"), "32-true")
    assert torch.equal(torch.get_rng_state(), stream)
    assert record["mfu"] == pytest.approx(flops * record["images_per_second"] / peak, rel=1e-9)
    assert record["peak_memory_gib"] > 0.1


@pytest.mark.parametrize("options", [("training.compile=true",), ("budget.images=null", "budget.flops=2e10")])
def test_operations_are_counted_once_and_of_a_model_as_it_is_written(
    options: tuple[str, ...], tiny: Train, unplug: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counted, count = [], budget._operations
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: setattr(self, "is_compiled", True))

    def watch(model: GenerativeModel, dataset: ImageDataset) -> float:
        assert not hasattr(model.network, "is_compiled")
        counted.append(count(model, dataset))
        return counted[-1]

    monkeypatch.setattr(budget, "_operations", watch)
    unplug(1, "vae", "training.checkpoint_every=64", *options)
    run = tiny("vae", "training.checkpoint_every=64", *options)
    (flops,) = counted
    assert run.manifest["flops_per_image"] == flops
    peak = peak_flops(torch.device("cpu"), "32-true")
    for record in read_log(run.log):
        if "mfu" in record:
            assert record["mfu"] == pytest.approx(flops * record["images_per_second"] / peak, rel=1e-9)


def test_operations_that_cannot_be_counted_cost_no_training(
    tiny: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object) -> float:
        raise NotImplementedError("no kernel of this\non a CPU")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(budget, "_operations", refuse)
        run = tiny("vae", folder="uncounted")
    assert "no mfu is recorded, since operations cannot be counted: no kernel of this" in caplog.messages
    assert not any("mfu" in record for record in read_log(run.log))
    assert digest(run.weights) == digest(tiny("vae", folder="counted").weights)


def test_a_training_skips_a_loss_that_is_not_finite_and_says_so(tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    likelihood, calls = vae.discretised_logistic, []

    def spoiled(*args, **kwargs):
        calls.append(1)
        return likelihood(*args, **kwargs) * (float("nan") if len(calls) == 2 + 5 else 1.0)  # two to count operations

    with monkeypatch.context() as patch:
        patch.setattr(vae, "discretised_logistic", spoiled)
        run = tiny("vae", "training.nonfinite=skip")
    assert run.summary["skipped"] == 1
    assert [record["skipped"] for record in read_log(run.log)] == [0, 0, 1, 1, 1]
    with pytest.raises(RunError, match=r"differs in training\.nonfinite: skip there, null here"):
        tiny("vae", "training.nonfinite=stop")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.nonfinite=ignore", r'training\.nonfinite = "ignore": expected .stop. or .skip.'),
        ("training.watchdog=0", r"training\.watchdog = 0: expected greater than 0"),
    ],
)
def test_values_without_meaning_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_experiment(compose("train", ["model=vae", override]))
