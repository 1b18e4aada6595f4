"""Activation checkpointing (Chen et al. 2016): what the backward pass needs is computed again instead of kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from genbench.core import ConfigError, GenerativeModel


def recompute(model: GenerativeModel) -> None:
    """Makes a model keep, of its `recomputable` parts, the inputs alone; gradients and names stay as they are.

    Raises:
        ConfigError: it has no such parts.
    """
    parts = model.recomputable
    if not parts:
        raise ConfigError(
            f"training.activation_checkpointing=true: nothing of a {type(model).__name__} is made to be computed "
            "again: use training.activation_checkpointing=false, and training.accumulate=4 to save memory"
        )
    recomputed(parts)


def recomputed(parts: Iterable[nn.Module]) -> None:
    """Makes modules keep their inputs alone for the backward pass."""
    for part in parts:
        part.forward = _again(part.forward)


def _again(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return run
