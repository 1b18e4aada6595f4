"""Training of a model that is spread over devices, in processes and with checkpoints like any other's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning.strategies import ModelParallelStrategy
from pytorch_lightning.strategies.strategy import Strategy
from torch.distributed.device_mesh import DeviceMesh
from torch.optim import Optimizer

from genbench.core.waiting import PATIENCE
from genbench.training.sharding import gathered, spread, spread_optimizer


class Sharded(ModelParallelStrategy):
    """Lightning's strategy for FSDP2, over all devices, with the checkpoint that one device would write.

    Lightning's own numbers an optimiser's parameters among all of the module's, so that a GAN's could be read by this
    strategy alone.
    """

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        super().setup_environment()
        # not the group that processes meet in, which is gloo's
        group: Any = dist.new_group(backend=self.process_group_backend, timeout=PATIENCE)
        self._device_mesh = DeviceMesh.from_group(group, self.root_device.type, mesh_dim_names=("data_parallel",))
        assert self.lightning_module is not None
        self.lightning_module._device_mesh = self._device_mesh

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = gathered(dict(Strategy.lightning_module_state_dict(self)))
        return state

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        state: dict[str, Any] = gathered(Strategy.optimizer_state(self, optimizer))
        return state

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        # mapped, not copied: every process takes its rows of it
        state: dict[str, Any] = torch.load(checkpoint_path, map_location="cpu", weights_only=True, mmap=True)
        return state

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.lightning_module is not None
        state = spread(checkpoint["state_dict"], self.lightning_module.state_dict())
        self.lightning_module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(spread_optimizer(state, optimizer))
