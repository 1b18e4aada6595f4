"""What reading captions costs beside a training step, at first and once they are remembered.

    python benchmarks/text_encoding.py [--batch 128] [--rounds 30] [key=value ...]

The recipe `model=text_to_image` on images of 16x16 with captions of a closed set, forward, backward and optimiser step.
"first" reads every caption by the language model, "remembered" looks it up; the bar is 5 % of a step for the latter.
Overrides choose another `text_encoder` or `backbone`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence

import torch

from genbench.app.build import build, resolve
from genbench.app.compose import compose
from genbench.conditioning.text.frozen import FrozenTextEncoder
from genbench.core import Batch, StreamNoise
from genbench.families.diffusion import Diffusion

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SPEC = ["data.spec.channels=3", "data.spec.height=16", "data.spec.width=16", "+data.spec.captions=true"]


def captions() -> list[str]:
    """A closed set of scenes of one or two objects."""
    objects = [f"{c} {s}" for c in ("red", "green", "blue", "yellow") for s in ("circle", "square", "triangle")]
    pairs = [f"a {a} above a {b}" for a, b in itertools.product(objects, objects)]
    return [f"a {one}" for one in objects] + pairs


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds of an action, the device's work included."""
    start = time.perf_counter()
    action()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(size: int, rounds: int, overrides: Sequence[str]) -> None:
    """Prints the medians of one recipe."""
    torch.manual_seed(0)
    config = compose("train", ["model=text_to_image", *SPEC, "logger=none", *overrides])
    model = build(resolve(config)["model"])
    assert isinstance(model, Diffusion)
    assert model.text is not None
    encoder = model.text.encoder
    if not isinstance(encoder, FrozenTextEncoder):
        raise SystemExit("only frozen encoders remember: use text_encoder=minilm or hugging_face")
    model.to(DEVICE).train()
    every = captions()
    asked = [every[i % len(every)] for i in range(size)]
    unique = list(dict.fromkeys(asked))
    encoder.encode(unique[:1], DEVICE)  # the weights are read from disk off the clock
    first = seconds(lambda: encoder.encode(unique, DEVICE))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    batch = Batch(torch.rand(size, 3, 16, 16, device=DEVICE) * 2 - 1, None, asked, torch.arange(size))

    def step() -> None:
        loss = model.loss(batch, StreamNoise(size, DEVICE))["loss"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()
    steps, reads = [], []
    for _ in range(rounds):
        steps.append(seconds(step))
        reads.append(seconds(lambda: encoder.read(asked, DEVICE)))
    whole, read = statistics.median(steps), statistics.median(reads)
    print(f"batch {size} of {len(unique)} captions, {torch.get_num_threads()} threads, {DEVICE}")
    print(f"  a step                {1e3 * whole:8.2f} ms")
    print(f"  reading, first        {1e3 * first:8.2f} ms  {first / whole:7.1%} of a step")
    print(f"  reading, remembered   {1e3 * read:8.2f} ms  {read / whole:7.1%} of a step")


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    compare(arguments.batch, arguments.rounds, arguments.overrides)


if __name__ == "__main__":
    main()
