"""The global streams of random numbers that training draws from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def rng_state(device: torch.device) -> dict[str, Tensor | None]:
    """Where the global streams of a process are."""
    on_gpu = device.type == "cuda"
    return {"torch": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state(device) if on_gpu else None}


def set_rng_state(state: dict[str, Any], device: torch.device) -> None:
    """Sets the streams back; that of a GPU only where it is of a GPU and goes on on one."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
