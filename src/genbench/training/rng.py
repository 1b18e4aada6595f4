"""The global streams of random numbers that training draws from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from genbench.core.noise import image_seed


def rng_state(device: torch.device) -> dict[str, Tensor | None]:
    """Where the global streams of a process are: the CPU's, and that of its GPU under the name of its kind."""
    gpus = {kind: _state(device) if device.type == kind else None for kind in ("cuda", "mps")}
    return {"torch": torch.get_rng_state(), **gpus}


def set_rng_state(state: dict[str, Any], device: torch.device) -> None:
    """Sets the streams back; that of a GPU only where it is of such a GPU and goes on on one."""
    torch.set_rng_state(state["torch"].cpu())
    if device.type != "cpu" and state.get(device.type) is not None:
        _set_state(state[device.type].cpu(), device)


def kind_of_device(state: dict[str, Any]) -> str:
    """On what kind of device the streams of a state were drawn from."""
    return next((kind for kind in ("cuda", "mps") if state.get(kind) is not None), "cpu")


@contextmanager
def own_stream(device: torch.device, images: int, rank: int) -> Iterator[torch.Generator]:
    """Makes the global stream of a device one process's own, for dropout; what all processes share is yielded.

    So devices drop out differently, and noise does not depend on how much of that there is. The own stream follows from
    the shared one's seed, the images seen and the rank, so that no checkpoint has to hold it.
    """
    shared = torch.Generator(device)
    shared.set_state(_state(device))
    _seed(image_seed(image_seed(shared.initial_seed(), images), rank), device)
    try:
        yield shared
    finally:
        _set_state(shared.get_state(), device)


def _state(device: torch.device) -> Tensor:
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else torch.get_rng_state()


def _set_state(state: Tensor, device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state)
    else:
        torch.set_rng_state(state)


def _seed(seed: int, device: torch.device) -> None:
    """Seeds the global stream of one device; `torch.manual_seed` would seed those of all."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
