"""Where models are sampled and judged."""

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
    """Where what a training config trains is judged: not on a GPU if it is not to be trained there."""
    return pick_device("cpu" if config["trainer"]["accelerator"] == "cpu" else "auto")
