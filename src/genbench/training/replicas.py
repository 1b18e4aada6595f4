"""One model on several devices: copies that see parts of every batch, and average their gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from genbench.core import TrainingError
from genbench.core.errors import first_line


class Replicas(DDPStrategy):
    """Lightning's processes without its wrapper of the model, which takes one backward a step: a GAN makes two.

    The copies start alike, since they share their seed, and stay alike, since they share their gradients.
    """

    def configure_ddp(self) -> None:
        """Wraps nothing: `average_gradients` is called where gradients are whole."""


@contextmanager
def reaching_others() -> Iterator[None]:
    """What fails inside because another process is gone says so.

    Raises:
        TrainingError: one is.
    """
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise TrainingError(f"rank {dist.get_rank()} lost another process: {first_line(error)}") from error


def average_gradients(parameters: Iterable[nn.Parameter], group: Any) -> None:
    """Replaces gradients by their mean over all processes, in one message."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat, group=group)
    flat /= dist.get_world_size(group)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [part.view_as(gradient) for part, gradient in zip(parts, gradients, strict=True)])
