import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from genbench.core import RunError, files
from genbench.training.selection import Selection

VALUES = {100: 5.0, 200: math.nan, 300: 3.0, 400: 3.0, 500: 4.0, 600: 2.0}


def weights(images: int) -> Callable[[], dict[str, Tensor]]:
    return lambda: {"w": torch.arange(6.0).reshape(2, 3).T + images}


def offered(path: Path, until: int) -> Selection:
    selection = Selection(path, "fd")
    for images, value in VALUES.items():
        if images <= until:
            selection.offer(images, value, weights(images))
    return selection


@pytest.mark.parametrize(("until", "images", "tried"), [(100, 100, 1), (200, 100, 2), (500, 300, 5), (600, 600, 6)])
def test_the_first_of_the_lowest_is_kept_and_all_are_counted(
    until: int, images: int, tried: int, tmp_path: Path
) -> None:
    selection = offered(tmp_path / "best", until)
    assert selection.record == {"metric": "fd", "images": images, "value": VALUES[images], "tried": tried}
    assert torch.equal(selection.weights()["w"], weights(images)()["w"])
    with safe_open(tmp_path / "best", framework="pt") as file:
        told = json.loads(file.metadata()["selected"])
    assert told == {"metric": "fd", "images": images, "value": VALUES[images]}


@pytest.mark.parametrize(("saved", "died"), [(a, b) for a in VALUES for b in VALUES if a <= b])
def test_a_restored_selection_is_that_of_its_checkpoint_whatever_came_after(
    saved: int, died: int, tmp_path: Path
) -> None:
    path, checkpoint = tmp_path / "best", tmp_path / "c"
    torch.save(offered(tmp_path / "then", saved).state_dict(), checkpoint)
    offered(path, died)
    restored = Selection(path, "fd")
    restored.load_state_dict(torch.load(checkpoint, weights_only=True))
    straight = offered(tmp_path / "straight", saved)
    assert restored.record == straight.record
    assert path.read_bytes() == straight.path.read_bytes()


def test_nothing_tried_restores_to_nothing(tmp_path: Path) -> None:
    state = Selection(tmp_path / "none", "kid").state_dict()
    stale = offered(tmp_path / "best", 300)
    stale.load_state_dict(state)
    assert stale.record is None
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_best_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    selection = offered(tmp_path / "best", 500)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device"):
        selection.offer(600, 2.0, weights(600))
    assert selection.record is not None
    assert selection.record["images"] == 300
    assert torch.equal(selection.weights()["w"], weights(300)()["w"])
