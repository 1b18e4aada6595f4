"""Trains a tiny run in torchrun's processes, and counts what is broadcast while batches go by."""

import sys
from pathlib import Path
from typing import Any

import torch.distributed as dist
from tiny_runs import TINY

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.evaluation.ranks import distributed, rank
from genbench.training.module import TrainingModule


def main(folder: Path) -> None:
    counts, sent, send, step = [], [0], dist.broadcast, TrainingModule.training_step

    def counted(*args: Any, **kwargs: Any) -> Any:
        sent[0] += 1
        return send(*args, **kwargs)

    def stepped(self: TrainingModule, *args: Any) -> Any:
        counts.append(sent[0])
        return step(self, *args)

    dist.broadcast = counted
    TrainingModule.training_step = stepped  # type: ignore[method-assign]
    with distributed():
        train(compose("train", ["model=vae", *TINY, "trainer=ddp_cpu", f"run_dir={folder / 'run'}"]))
        (folder / f"rank{rank()}").write_text(" ".join(map(str, counts)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
