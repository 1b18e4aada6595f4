"""A training that hangs says where, once, and none that does not."""

import threading
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl
from tiny_trainings import Regression, fit, module

from genbench.core import Batch, Noise
from genbench.core.model import Losses
from genbench.training.watchdog import Watchdog


class Sleepy(Regression):
    """Hangs for a while in its third loss."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        self.calls += 1
        if self.calls == 3:
            fall_asleep(1.0)
        return super().loss(batch, noise)


def fall_asleep(seconds: float) -> None:
    time.sleep(seconds)


class Preview(pl.Callback):
    """Takes its time off the clock, and then fails."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        with pl_module.off_the_clock():
            fall_asleep(1.2)
        raise RuntimeError("pulled the plug")


def watching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "watchdog"]


def test_a_hang_is_told_once_and_training_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, ours = tmp_path / "hang-rank0.txt", module(Sleepy(), 640)
    fit(ours, 640, [Watchdog(0.3, path)])
    assert ours.images_seen == 640
    told = path.read_text()
    assert told.count("rank 0: no batch was finished for 0.3 s; 128 images seen") == 1
    assert "in the phase forward_backward after data" in told
    assert "in fall_asleep\n" in told
    assert "in loss\n" in told
    err = capsys.readouterr().err
    assert "128 images seen, in the phase forward_backward after data" in err
    assert "in fall_asleep\n" in err
    assert not watching()


def test_what_is_off_the_clock_is_no_hang(tmp_path: Path) -> None:
    path = tmp_path / "hang-rank0.txt"
    with pytest.raises(RuntimeError, match="plug"):
        fit(module(Regression(), 640), 640, [Watchdog(0.5, path), Preview()])
    assert not path.exists()
    assert not watching()


def test_a_folder_that_cannot_be_written_leaves_the_telling_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(module(Sleepy(), 256), 256, [Watchdog(0.3, tmp_path / "absent" / "hang-rank0.txt")])
    assert "no batch was finished for 0.3 s; 128 images seen" in capsys.readouterr().err
