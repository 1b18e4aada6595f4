"""What being able to resume costs: seconds of saving checkpoints over seconds of training, in one run.

    python benchmarks/resume.py [--model ddpm] [--images 100000] [--every 20000]

Trains on the digits with the default recipe; saving includes flushing the record, the write and its fsync.
The bar is 0.01.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import pytorch_lightning as pl

from genbench.app.compose import compose
from genbench.app.training import train
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.module import TrainingModule


def main() -> None:
    """Prints the seconds of both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ddpm")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=20_000)
    arguments = parser.parse_args()
    save, seconds, sizes = ResumeCheckpoint.save, list[float](), list[int]()

    def timed(self: ResumeCheckpoint, trainer: pl.Trainer, module: TrainingModule) -> None:
        begin = time.perf_counter()
        save(self, trainer, module)
        seconds.append(time.perf_counter() - begin)
        sizes.append(self.path.stat().st_size)

    ResumeCheckpoint.save = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        chosen = [f"model={arguments.model}", f"budget.images={arguments.images}", "logger=none"]
        chosen += [f"training.checkpoint_every={arguments.every}", f"run_dir={Path(folder) / 'run'}"]
        training = train(compose("train", chosen)).summary["seconds"]
    print(
        f"{arguments.model}: {len(seconds)} checkpoints of {sizes[-1] / 1e6:.1f} MB in {sum(seconds):.2f} s, training "
        f"{training:.1f} s, ratio {sum(seconds) / training:.4f}"
    )


if __name__ == "__main__":
    main()
