"""Two processes that share every batch against one process with as many threads in total, as a ratio in one run.

    python benchmarks/ddp.py [--model ddpm ...] [--images 6400] [--batch 64] [--processes 2] [--rounds 5]

Both run `genbench train` on the digits, with the same batches of all processes together, and say how many seconds
they trained, without starting and saving. Rounds alternate; the efficiency is images/s of the processes over images/s
of the one, the median of the rounds: averaging gradients over gloo costs, and operations on fewer threads save.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from genbench.run import Run


def seconds(model: str, images: int, batch: int, processes: int, threads: int) -> float:
    """Seconds of one training by so many processes of so many threads each."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        trainer = ["trainer=cpu"] if processes == 1 else ["trainer=ddp_cpu", f"trainer.devices={processes}"]
        budget = [f"budget.images={images}", f"budget.batch_size={batch}"]
        command = [sys.executable, "-m", "genbench", "train", f"model={model}", *trainer, *budget]
        done = subprocess.run(
            [*command, "logger=none", f"run_dir={run}"],
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return float(Run.open(run).summary["seconds"])


def main() -> None:
    """Prints the rounds' images a second and the median of their ratios, model by model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["ddpm", "vae", "dcgan", "pixel_gpt"])
    parser.add_argument("--images", type=int, default=6400)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    many = arguments.processes
    for model in arguments.model:
        speeds: dict[int, list[float]] = {1: [], many: []}
        for number in range(arguments.rounds):
            for processes in (1, many) if number % 2 else (many, 1):
                took = seconds(model, arguments.images, arguments.batch, processes, many // processes)
                speeds[processes].append(arguments.images / took)
        ratios = [shared / alone for alone, shared in zip(speeds[1], speeds[many], strict=True)]
        print(
            f"{model}: {many} processes {statistics.median(speeds[many]):.0f} images/s, one of {many} threads "
            f"{statistics.median(speeds[1]):.0f}, efficiency {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f} over {arguments.rounds} rounds), batch {arguments.batch}",
            flush=True,
        )


if __name__ == "__main__":
    main()
