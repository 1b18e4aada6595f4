"""One of two processes on machines that are not alike: starts a training and writes what came of it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import LATENT, TINY

from genbench.app import first_stage, training
from genbench.app.compose import compose
from genbench.evaluation.ranks import distributed, rank


def scale(folder: Path, vae: str) -> float:
    """The scale that a training takes its latents at, which come out twice as large in the second process."""
    encode, taken = first_stage.latents, []
    command = ["model=ddpm", *TINY, *LATENT, f"first_stage.run={vae}", "trainer=ddp_cpu", f"run_dir={folder / 'run'}"]

    def note(*arguments: Any) -> None:
        taken.append(arguments[-2].model.first_stage.scale)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_stage, "latents", lambda *of: encode(*of) * (1.0 + rank()))
        patch.setattr(training, "_fit", note)
        training.train(compose("train", command))
    return taken[0]


if __name__ == "__main__":
    folder, vae = Path(sys.argv[1]), sys.argv[2]
    with distributed():
        (folder / f"rank{rank()}.json").write_text(json.dumps({"scale": scale(folder, vae)}))
