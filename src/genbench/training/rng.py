"""The global streams of random numbers that training draws from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from genbench.core.noise import image_seed


def rng_state(device: torch.device) -> dict[str, Tensor | None]:
    """Where the global streams of a process are."""
    on_gpu = device.type == "cuda"
    return {"torch": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state(device) if on_gpu else None}


def set_rng_state(state: dict[str, Any], device: torch.device) -> None:
    """Sets the streams back; that of a GPU only where it is of a GPU and goes on on one."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


@contextmanager
def own_stream(device: torch.device, images: int, rank: int) -> Iterator[torch.Generator]:
    """Makes the global stream of a device one process's own, as dropout is to differ; what all share is yielded.

    It follows from the shared stream's seed, the images seen and the rank, so that no checkpoint has to hold it.
    """
    stream = torch.cuda.default_generators[device.index] if device.type == "cuda" else torch.default_generator
    shared = torch.Generator(device)
    shared.set_state(stream.get_state())
    stream.manual_seed(image_seed(image_seed(shared.initial_seed(), images), rank))
    try:
        yield shared
    finally:
        stream.set_state(shared.get_state())
