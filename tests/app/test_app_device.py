"""The GPU of a process, on a machine that pretends to have four."""

import re
from typing import Any

import pytest
import torch

from genbench.app import judged
from genbench.app.compose import compose
from genbench.app.device import training_device
from genbench.app.training import open_experiment
from genbench.core import ConfigError


@pytest.fixture(autouse=True)
def current(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """What was made the current GPU, in turn."""
    made: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", made.append)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return made


@pytest.mark.parametrize(
    ("devices", "local", "expected"),
    [(1, None, 0), ([1], None, 1), (-1, "3", 3), (2, "1", 1), ([3, 1], "0", 3), ([3, 1], "1", 1)],
)
def test_a_process_has_the_gpu_that_its_training_asks_for(
    devices: Any, local: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if local is not None:
        monkeypatch.setenv("LOCAL_RANK", local)
    for kind in ("auto", "gpu", "cuda"):
        found = training_device({"trainer": {"accelerator": kind, "devices": devices}})
        assert found == torch.device("cuda", expected)
    assert training_device({"trainer": {"accelerator": "cpu", "devices": devices}}) == torch.device("cpu")


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=re.escape("trainer.devices=[4]: this machine has GPUs up to number 3: use")):
        open_experiment(compose("train", ["model=vae", "trainer=gpu", "trainer.devices=[4]"]))


def test_encoders_and_judge_are_where_the_training_is(
    current: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    def config(*others: str) -> Any:
        return compose("train", ["model=vae", *others])

    open_experiment(config("trainer=gpu", "trainer.devices=[2]"))
    assert current == [torch.device("cuda", 2)]
    asked = []
    monkeypatch.setattr(judged, "make_judge", lambda *_, device: asked.append(device))
    judged.judge_when_finished(config("trainer=gpu", "trainer.devices=[2]"))
    judged.judge_when_finished(config("trainer=cpu"))
    assert asked == [torch.device("cuda", 2), torch.device("cpu")]
