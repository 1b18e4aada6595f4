"""Where models are trained, sampled and judged."""

import gc
import os
from collections.abc import Mapping
from typing import Any

import torch

from genbench.core import ConfigError


def pick_device(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU where there is one.

    Raises:
        ConfigError: a device this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError(f"device={name} is not to be had here ({why}): use device=auto or device=cpu") from None
    return device


def training_device(config: Mapping[str, Any]) -> torch.device:
    """The device on which this process trains what a resolved config says, and judges it.

    Raises:
        ConfigError: a GPU this machine does not have.
    """
    trainer = config["trainer"]
    device = pick_device("cpu" if trainer["accelerator"] == "cpu" else "auto")
    return own_gpu(trainer["devices"]) if device.type == "cuda" else device


def own_gpu(devices: Any = -1) -> torch.device:
    """This process's GPU among those asked for: a list of their numbers, or so many from the first.

    Raises:
        ConfigError: a GPU this machine does not have.
    """
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    number = devices[local % len(devices)] if isinstance(devices, list) else local % there
    if number >= there:
        raise ConfigError(f"trainer.devices={devices}: this machine has GPUs up to number {there - 1}: use one of them")
    return torch.device("cuda", number)


def release_memory() -> None:
    """Gives back what nothing needs any more: modules, trainers and optimisers refer to one another in circles."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def make_current(device: torch.device) -> None:
    """Makes a GPU the one that `auto` and `cuda` mean in this process."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
