"""What is recorded of a training's health, against figures worked out by hand."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from tiny_trainings import SPEC, Kept, Regression, fit, module

from genbench.core import Batch, Noise
from genbench.core.model import Losses
from genbench.families.gan import DCGAN
from genbench.training import clock, peak, recorder
from genbench.training.clock import Clock
from genbench.training.numerics import numerics
from genbench.training.peak import peak_flops, peak_memory
from genbench.training.recorder import Recorder


class Time:
    """A clock that goes on only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(clock, "time", time)
    return time


class Working(Regression):
    """A loss of six seconds."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.time = time

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        self.time.now += 6.0
        return super().loss(batch, noise)


class Surroundings(pl.Callback):
    """A second for data, two for the optimiser, one for what comes after a step, and a hundred off the clock."""

    def __init__(self, time: Time) -> None:
        self.time = time

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.time.now += 1.0

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        self.time.now += 2.0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.time.now += 1.0
        with pl_module.off_the_clock():
            self.time.now += 100.0


class Slow(Kept):
    """Takes fifty seconds to keep a record."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.time = time

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        super().log_metrics(metrics, step)
        self.time.now += 50.0


def test_an_interval_is_shared_out_to_what_it_was_spent_on(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "peak_flops", lambda device, precision: {"32-true": 1024.0}[precision])
    logger = Slow(time)
    fit(module(Working(time), 640), 640, [Surroundings(time), Recorder(320, flops=80.0)], logger=logger)
    assert [record["seconds"] for record in logger.records] == [50.0, 150.0]
    # the second interval begins with fifty seconds of logging
    for record, logging in zip(logger.records, (0.0, 0.5), strict=True):
        phases = {key: value for key, value in record.items() if key.startswith("time/")}
        assert phases == {
            "time/data": 0.1 * (1.0 - logging),
            "time/forward_backward": 0.6 * (1.0 - logging),
            "time/optimizer": 0.2 * (1.0 - logging),
            "time/ema": 0.0,
            "time/logging": logging,
            "time/rest": 0.1 * (1.0 - logging),
        }
        assert record["images_per_second"] == 6.4 * (1.0 - logging)
        # 80 operations an image of 6.4 a second, of 1 024 a second
        assert record["mfu"] == 0.5 * (1.0 - logging)
        assert record["peak_memory_gib"] == pytest.approx(peak_memory(torch.device("cpu")), abs=0.5)


def test_every_move_of_a_gan_tells_the_norm_of_its_gradient() -> None:
    logger = Kept()
    fit(module(DCGAN(SPEC, channels=(8, 8)), 64, clip=None), 64, [Recorder(64)], logger=logger)
    (record,) = logger.records
    assert {key for key in record if "norm" in key} == {"discriminator_grad_norm", "generator_grad_norm"}
    assert min(record["discriminator_grad_norm"], record["generator_grad_norm"]) > 0.0
    assert not {"mfu", "skipped"} & record.keys()


class Event:
    """Of a device that is late: a border is known only when `passed` has come that far."""

    passed, made = 0, 0
    MOMENTS = (0.0, 10.0, 40.0, 60.0, 110.0, 130.0)

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = Event.made
        Event.made += 1

    def query(self) -> bool:
        return self.at < Event.passed

    def elapsed_time(self, end: "Event") -> float:
        assert self.query()
        assert end.query()
        return self.MOMENTS[end.at] - self.MOMENTS[self.at]


def test_phases_of_a_device_are_read_when_it_has_passed_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    late = Clock()
    late.start(torch.device("cuda"))  # data from 0
    late.enter("forward_backward")  # from 10
    late.enter("rest")  # from 40
    assert late.shares() == {}  # asks at 60
    Event.passed = 3
    assert late.shares() == {"data": 0.25, "forward_backward": 0.75}  # asks at 110, is answered up to 40
    Event.passed = 6
    assert late.shares() == {"rest": 1.0}


@pytest.fixture
def untouched() -> Iterator[None]:
    """Random streams and settings are what they were."""
    before = torch.get_rng_state(), torch.backends.cuda.matmul.allow_tf32
    yield
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.backends.cuda.matmul.allow_tf32 is before[1]


@pytest.mark.usefixtures("untouched")
def test_the_peak_is_that_of_the_fastest_product(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(precision: str, *seconds: float) -> float:
        ticks = (moment for each in seconds for moment in (0.0, each))
        monkeypatch.setattr(peak, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
        found = peak._measured.__wrapped__(torch.device("cpu"), precision, "highest")
        assert next(ticks, None) is None
        return found

    small, large = 2.0 * 256**3, 2.0 * 512**3
    assert measured("32-true", 0.008, 0.004, 0.009, 0.05, 0.02, 0.03) == large / 0.02
    assert measured("bf16-mixed", *[0.04] * 3, *[0.01] * 3) == small / 0.01
    # where larger products are no faster
    assert measured("bf16-true", *[0.001] * 3, *[0.1] * 3) == small / 0.001


@pytest.mark.usefixtures("untouched")
def test_the_peak_is_measured_once_a_process() -> None:
    device = torch.device("cpu")
    once = peak_flops(device, "32-true")
    assert peak_flops(device, "32-true") == once
    assert once > 1e8  # no processor of this century takes longer


@pytest.mark.usefixtures("untouched")
def test_the_peak_is_measured_for_every_way_to_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    by_products = {"highest": 1.0, "high": 8.0, "medium": 16.0}
    monkeypatch.setattr(peak, "_fastest", lambda *_: by_products[torch.get_float32_matmul_precision()])
    for products, expected in by_products.items():
        with numerics(products):
            assert peak_flops(torch.device("meta"), "32-true") == expected
