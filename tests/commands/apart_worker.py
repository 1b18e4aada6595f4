"""One of two processes on machines that are not alike: starts a training and writes what came of it."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_runs import LATENT, TINY

from genbench.app import first_stage, training
from genbench.app.compose import compose
from genbench.core import GenbenchError
from genbench.evaluation.ranks import distributed, rank


def scale(folder: Path, vae: str) -> float:
    """The scale that a training takes its latents at, which come out twice as large in the second process."""
    encode, taken = first_stage.latents, []
    command = ["model=ddpm", *TINY, *LATENT, f"first_stage.run={vae}", "trainer=ddp_cpu", f"run_dir={folder / 'run'}"]

    def note(*arguments: Any) -> None:
        taken.append(arguments[3].model.first_stage.scale)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_stage, "latents", lambda *of: encode(*of) * (1.0 + rank()))
        patch.setattr(training, "_fit", note)
        training.train(compose("train", command))
    return taken[0]


def images(folder: Path) -> str:
    """What a training says of a folder that has one image less on the second machine."""
    own, random = folder / f"disk{rank()}", np.random.default_rng(0)
    for number in range(40):
        path = own / ("train", "test")[number % 4 // 2] / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    if rank() == 1:
        (own / "train" / "a" / "00.png").unlink()
    data = ["data=image_folder", f"data.root={own}", "data.channels=1"]
    try:
        training.train(compose("train", ["model=vae", *TINY, *data, "trainer=ddp_cpu", f"run_dir={folder / 'odd'}"]))
    except GenbenchError as error:
        return f"{type(error).__name__}: {error}"
    return "trained"


if __name__ == "__main__":
    folder, vae = Path(sys.argv[1]), sys.argv[2]
    with distributed():
        found = {"scale": scale(folder, vae), "images": images(folder)}
        (folder / f"rank{rank()}.json").write_text(json.dumps(found))
