"""A move whose loss or gradient is not finite is as if it had never been, and too many end the training."""

import copy
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from tiny_trainings import SPEC, Crash, Kept, Regression, fit, module
from torch import Tensor, nn

from genbench.core import Batch, GenerativeModel, Noise, StreamNoise, TrainingError
from genbench.core.model import Losses
from genbench.data.digits import Digits
from genbench.data.module import ImageDataModule
from genbench.families.gan import DCGAN
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.ema import EMA
from genbench.training.lr import Cosine
from genbench.training.module import TrainingModule
from genbench.training.recorder import Recorder
from genbench.training.snapshots import Snapshots

IMAGES, BATCH = 640, 64
Ruin = Callable[[Tensor, Tensor], Tensor]
"""A loss and some weight to a loss that is no good."""

RUINS: dict[str, Ruin] = {
    "loss and gradient": lambda loss, weight: loss * math.nan,
    "loss alone": lambda loss, weight: loss + math.inf,
    "gradient alone": lambda loss, weight: loss + (0.0 * weight).sqrt().sum(),
}


class Faulty:
    """Ruins the losses of these batches, counted from 0, whenever they come."""

    def fault(self, batches: frozenset[int] | set[int], ruin: Ruin, images: int = IMAGES) -> None:
        self.batches, self.ruin, self.images = batches, ruin, images

    def ruined(self, losses: Losses, weight: Tensor) -> Losses:
        batch = round(self.progress * self.images / BATCH)  # type: ignore[attr-defined]
        return losses | {"loss": self.ruin(losses["loss"], weight)} if batch in self.batches else losses


class FaultyRegression(Faulty, Regression):
    def loss(self, batch: Batch, noise: Noise) -> Losses:
        return self.ruined(super().loss(batch, noise), self.table.weight)


class FaultyDiscriminator(Faulty, DCGAN):
    def discriminator_loss(self, batch: Batch, noise: Noise) -> Losses:
        return self.ruined(super().discriminator_loss(batch, noise), self.discriminator.logit.weight)


class FaultyGenerator(Faulty, DCGAN):
    def generator_loss(self, batch: Batch, noise: Noise) -> Losses:
        return self.ruined(super().generator_loss(batch, noise), next(self.generator.parameters()))


def by_hand(model: GenerativeModel, skipped: Mapping[str, set[int]]) -> dict[str, Tensor]:
    """Weights and averages of a loop that makes no move of these batches."""
    moves = model.train_steps()
    optimizers = [torch.optim.Adam(move.module.parameters(), lr=0.01) for move in moves]
    averaged = {id(p) for move in moves if move.averaged for p in move.module.parameters()}
    ema = EMA({name: p for name, p in model.named_parameters() if id(p) in averaged}, 500.0, 0.5)
    data, schedule, seen = ImageDataModule(Digits(), BATCH, IMAGES, seed=5), Cosine(warmup=100), 0
    for number, images in enumerate(data.train_dataloader()):
        batch, waits = data.on_after_batch_transfer(images, 0), False
        for move, optimizer in zip(moves, optimizers, strict=True):
            optimizer.zero_grad()
            loss = move.loss(batch, StreamNoise(len(batch)))["loss"]
            if number in skipped.get(move.name, ()):
                waits |= move.averaged
                continue
            loss.backward()
            torch.nn.utils.clip_grad_norm_(move.module.parameters(), 1.0)
            optimizer.param_groups[0]["lr"] = 0.01 * schedule.factor(seen, IMAGES)
            optimizer.step()
        seen += len(batch)
        if not waits:
            ema.update(seen, len(batch))
    return state(model, ema)


def state(model: nn.Module, ema: EMA) -> dict[str, Tensor]:
    return {**model.state_dict(), **{f"average of {name}": value for name, value in ema.state_dict().items()}}


def equal(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    assert ours.keys() == theirs.keys()
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def regression(batches: set[int], ruin: str = "loss and gradient", images: int = IMAGES) -> FaultyRegression:
    torch.manual_seed(0)
    model = FaultyRegression()
    model.fault(batches, RUINS[ruin], images)
    return model


@pytest.mark.parametrize("ruin", RUINS)
def test_a_skipped_move_leaves_weights_optimiser_and_average_as_they_were(
    ruin: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = regression({0, 4, 5}, ruin)
    bare = copy.deepcopy(model)
    bare.batches = set()
    ours, logger = module(model, IMAGES, nonfinite="skip"), Kept()
    with caplog.at_level(logging.WARNING):
        fit(ours, IMAGES, [Recorder(128)], logger=logger)
    assert equal(state(model, ours.ema), by_hand(bare, {"model": {0, 4, 5}}))
    assert [record["skipped"] for record in logger.records] == [1, 1, 3, 3, 3]
    assert all(math.isfinite(value) for record in logger.records for value in record.values())
    # both batches of the third record were skipped: there is no loss to tell
    assert ["loss" in record for record in logger.records] == [True, True, ruin == "gradient alone", True, True]
    said = [record.getMessage() for record in caplog.records if record.name == "genbench.training.recorder"]
    assert said == [
        "1 moves skipped up to 128 images: a loss or gradient was not finite",
        "2 moves skipped up to 384 images: a loss or gradient was not finite",
    ]


@pytest.mark.parametrize(("faulty", "name"), [(FaultyDiscriminator, "discriminator"), (FaultyGenerator, "generator")])
def test_a_move_of_a_gan_is_skipped_without_the_other(faulty: type, name: str) -> None:
    torch.manual_seed(0)
    model = faulty(SPEC, channels=(8, 8), latent=4, embedding=6)
    model.fault({3}, RUINS["loss and gradient"])
    bare, ours = copy.deepcopy(model), module(model, IMAGES, nonfinite="skip")
    bare.batches = set()
    torch.manual_seed(1)
    fit(ours, IMAGES, [])
    torch.manual_seed(1)
    assert equal(state(model, ours.ema), by_hand(bare, {name: {3}}))
    assert ours.skips is not None
    assert (ours.skips.total, ours.skips.in_a_row) == (1, {"discriminator": 0, "generator": 0})


class Normalised(FaultyRegression):
    """With running statistics, which a batch that is not finite would ruin for good."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(64)

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        faulty = round(self.progress * IMAGES / BATCH) in self.batches
        image = batch.image.flatten(1) * (math.nan if faulty else 1.0)
        return {"loss": (self.norm(image) - self.table(batch.label)).square().mean()}


def test_buffers_are_left_too() -> None:
    def trained(batches: set[int]) -> Normalised:
        torch.manual_seed(0)
        model = Normalised()
        model.fault(batches, RUINS["loss and gradient"])
        fit(module(model, IMAGES, nonfinite="skip"), IMAGES, [])
        return model

    ruined, sound = trained({9}), trained({10})
    assert int(ruined.norm.num_batches_tracked) == 9
    assert int(sound.norm.num_batches_tracked) == 10
    assert all(value.isfinite().all() for value in ruined.state_dict().values())


def test_nothing_to_skip_is_as_if_training_would_stop(tmp_path: Path) -> None:
    states = []
    for policy in ("stop", "skip"):
        ours = module(regression(set()), IMAGES, nonfinite=policy)
        snapshots = Snapshots(tmp_path, IMAGES)
        fit(ours, IMAGES, [snapshots])
        states.append(state(ours.model, ours.ema) | snapshots.averages)
    assert equal(*states)


def test_averages_of_snapshots_wait_too(tmp_path: Path) -> None:
    def averages(batches: int, skipped: set[int]) -> dict[str, Tensor]:
        snapshots = Snapshots(tmp_path, IMAGES)
        ours = module(regression(skipped, images=3 * BATCH), 3 * BATCH, nonfinite="skip")
        fit(ours, batches * BATCH, [snapshots])
        return snapshots.averages

    assert equal(averages(3, {2}), averages(2, set()))
    assert not equal(averages(3, set()), averages(2, set()))


def interrupted(module: TrainingModule, images: int, path: Path) -> Path:
    """The checkpoint of a training that ended after so many images."""
    recorder = Recorder(BATCH)
    checkpoint = ResumeCheckpoint(path, path.with_suffix(".before"), images, recorder)
    with pytest.raises(RuntimeError, match="plug"):
        fit(module, module.images, [recorder, checkpoint, Crash(images)])
    return path


def test_a_resumed_training_goes_on_counting(tmp_path: Path) -> None:
    def start() -> TrainingModule:
        return module(regression({1, 6}), IMAGES, nonfinite="skip")

    straight = start()
    fit(straight, IMAGES, [])
    checkpoint = interrupted(start(), 3 * BATCH, tmp_path / "c.ckpt")
    resumed, logger = start(), Kept()
    fit(resumed, IMAGES, [Recorder(BATCH)], checkpoint, logger)
    assert equal(state(resumed.model, resumed.ema), state(straight.model, straight.ema))
    assert [record["skipped"] for record in logger.records] == [1, 1, 1, 2, 2, 2, 2]


def test_ten_in_a_row_end_a_training_resumed_or_not(tmp_path: Path) -> None:
    images = 20 * BATCH

    def start(*batches: int) -> TrainingModule:
        return module(regression(set(batches), images=images), images, nonfinite="skip")

    nine = start(*range(2, 11), *range(12, 20))
    fit(nine, images, [])
    assert nine.skips is not None
    assert nine.skips.total == 17

    checkpoint = interrupted(start(*range(3, 20)), 8 * BATCH, tmp_path / "c.ckpt")
    message = r"the model's loss or gradient was not finite 10 times in a row, the last at 832 images"
    for path in (None, checkpoint):
        ten = start(*range(3, 20))
        with pytest.raises(TrainingError, match=message):
            fit(ten, images, [], path)
        assert ten.images_seen == 12 * BATCH
