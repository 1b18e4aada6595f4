"""A model that no device holds whole: parts of it and of what goes with it over a mesh (FSDP, Zhao et al. 2023).

Sharded are parameters, and with them gradients, optimiser states and averages: DTensors, of which every process holds
its rows. What is saved is whole, and read by any number of devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from genbench.core import GenerativeModel


def shard(model: GenerativeModel, mesh: DeviceMesh) -> None:
    """Spreads a model: each of its large blocks is gathered while it runs, the rest for a loss and its gradients.

    The rest is one group even where several networks are trained, since a loss may run a network several times and
    differentiate it twice, which is no business of the sharding's while all of it is at hand.
    """
    # gathered in 32 bits, not by a MixedPrecisionPolicy in 16: what draws previews is no autocast, and runs blocks too
    for block in model.recomputable:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh, reshard_after_forward=False)


@contextmanager
def at_hand(model: GenerativeModel) -> Iterator[None]:
    """A model that can be run otherwise than for a loss; of a sharded one all processes do so, in step."""
    if isinstance(model, FSDPModule):
        model.unshard()
    try:
        yield
    finally:
        if isinstance(model, FSDPModule):
            model.reshard()


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor, in the same memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """A tensor put together from its parts; all processes ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(state: Any) -> Any:
    """A nested state with all that is sharded whole, on the CPU of the first process; others get empty tensors."""
    if isinstance(state, DTensor):
        full = state.full_tensor()
        return full.cpu() if torch.distributed.get_rank() == 0 else torch.empty(0)
    if isinstance(state, dict):
        return {key: gathered(value) for key, value in state.items()}
    return state


def spread(state: Mapping[str, Any], like: Mapping[str, Tensor]) -> dict[str, Any]:
    """Whole tensors as parts of the same sharding as those of the same name that they have the shape of."""
    return {name: _part(value, like[name]) for name, value in state.items()}


def _part(value: Any, like: Tensor) -> Any:
    if not isinstance(like, DTensor) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    # every process has read it whole, so that none has to send
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def spread_optimizer(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The whole state of an optimiser, each parameter's sharded as the parameter is."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    parts = {
        number: {key: _part(value, parameters[number]) for key, value in each.items()}
        for number, each in state["state"].items()
    }
    return {**state, "state": parts}
