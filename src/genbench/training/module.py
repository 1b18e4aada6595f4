"""The one Lightning module that trains any generative model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor
from torch.optim import Optimizer

from genbench.core import Batch, ConfigError, GenerativeModel, StreamNoise, TrainStep
from genbench.training.ema import EMA
from genbench.training.lr import LRSchedule
from genbench.training.replicas import average_gradients

OptimizerFactory = Callable[[Iterable[torch.nn.Parameter]], Optimizer]


class TrainingModule(pl.LightningModule):
    """Makes every due move of a model for every batch: loss, backward, clip, optimiser, average.

    `images_seen` is the only clock. Optimisation is manual throughout, so that a GAN's two moves are no
    special case and Lightning's `global_step`, which counts every optimiser, is never read. `images` is the
    budget; `accumulate` splits each batch into that many pieces to save memory. `channels_last` and `compile` make
    it faster where the hardware likes them, and change weights by rounding alone.
    """

    def __init__(
        self,
        model: GenerativeModel,
        optimizer: OptimizerFactory,
        lr_scheduler: LRSchedule,
        images: int,
        clip: float | None = 1.0,
        ema_half_life: float = 10_000.0,
        ema_rampup: float = 0.05,
        accumulate: int = 1,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__()
        if accumulate < 1:
            raise ConfigError(f"training.accumulate is {accumulate}; expected 1 or more pieces per batch")
        if clip is not None and clip <= 0.0:
            raise ConfigError(f"training.clip is {clip}; expected a positive gradient norm, or null for none")
        self.automatic_optimization = False
        if channels_last:
            model.to(memory_format=torch.channels_last)
        if compile:
            model.network.compile()  # in place, so that the names of weights stay
        self.model = model
        self.moves = list(model.train_steps())
        self.factory, self.lr_scheduler, self.images = optimizer, lr_scheduler, images
        self.clip, self.accumulate = clip, accumulate
        self.images_seen, self.seconds = 0, 0.0
        self.ema = EMA(self._averaged_parameters(), ema_half_life, ema_rampup)
        self._grad_norm: Tensor | None = None
        self._mark: float | None = None
        self._rng: dict[str, Any] | None = None
        self._group: Any = None  # of torch.distributed, where the default one cannot reach the device

    def _averaged_parameters(self) -> dict[str, torch.nn.Parameter]:
        averaged = {id(p) for move in self.moves if move.averaged for p in move.module.parameters()}
        return {name: p for name, p in self.model.named_parameters() if id(p) in averaged}

    def configure_optimizers(self) -> list[Optimizer]:
        try:
            return [self.factory([p for p in move.module.parameters() if p.requires_grad]) for move in self.moves]
        except ValueError as error:
            raise ConfigError(f"the optimizer refuses its config: {error}") from error

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        wrapped = self.optimizers()
        optimizers = wrapped if isinstance(wrapped, list) else [wrapped]
        losses: dict[str, Tensor] = {}
        self.model.progress = self.images_seen / self.images
        for move, optimizer in zip(self.moves, optimizers, strict=True):
            losses |= self._move(move, optimizer, batch)
        if self._scaler is not None:
            losses["loss_scale"] = torch.tensor(self._scaler.get_scale(), device=self.device)
        seen = len(batch) * self.trainer.world_size
        self.images_seen += seen
        self.ema.update(self.images_seen, seen)
        return losses

    def _move(self, move: TrainStep, optimizer: Any, batch: Batch) -> dict[str, Tensor]:
        alone = len(self.moves) == 1
        if not alone:
            self.toggle_optimizer(optimizer)
        optimizer.zero_grad(set_to_none=True)
        logged: dict[str, Tensor] = {}
        noise = StreamNoise(len(batch) * self.trainer.world_size, self.device)
        start = self.trainer.global_rank * len(batch)
        for piece in batch.split(self.accumulate):
            share = len(piece) / len(batch)
            losses = move.loss(piece, noise.part(start, start + len(piece)))
            start += len(piece)
            self.manual_backward(losses["loss"] * share)
            for name, value in losses.items():
                logged[name] = logged.get(name, 0.0) + value.detach() * share
        if self.trainer.world_size > 1:
            average_gradients([p for group in optimizer.param_groups for p in group["params"]], self._group)
        for group in optimizer.param_groups:
            base = group.setdefault("base_lr", group["lr"])
            group["lr"] = base * self.lr_scheduler.factor(self.images_seen, self.images)
        optimizer.step()
        if not alone:
            self.untoggle_optimizer(optimizer)
            logged[f"{move.name}_loss"] = logged.pop("loss")
        if self._grad_norm is not None:
            logged["grad_norm" if alone else f"{move.name}_grad_norm"] = self._grad_norm
        return logged

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        """What scales losses so that 16-bit gradients do not vanish, with trainer.precision=16-mixed."""
        plugin = self.trainer.precision_plugin
        return plugin.scaler if isinstance(plugin, MixedPrecision) else None

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # called after a loss scaler has been divided out, so the norm is the true one
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        limit = float("inf") if self.clip is None else self.clip
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit).detach()
        if self._scaler is not None and self._scaler.get_scale() >= 1.0:
            # too large a scale, no ruin: the scaler makes no step and tries a smaller one next
            norm = torch.where(norm.isfinite(), norm, 0.0)
        self._grad_norm = norm

    # -- the clock of training seconds -----------------------------------------------------------------------

    def on_train_start(self) -> None:
        self.ema.to(self.device)
        if self.trainer.world_size > 1 and self.device.type == "cuda":
            self._group = dist.new_group(backend="nccl")
        if self._rng is not None:
            _set_rng(self._rng, self.device)
            self._rng = None
        self._mark = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds of training so far, over all resumes, without judging and saving."""
        if self._mark is not None:
            now = time.perf_counter()
            self.seconds, self._mark = self.seconds + now - self._mark, now
        return self.seconds

    @contextmanager
    def off_the_clock(self) -> Iterator[None]:
        """Time spent inside is not training time."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.elapsed()
        try:
            yield
        finally:
            self._mark = time.perf_counter()

    # -- what a resumed training needs beside weights and optimisers -----------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["genbench"] = {
            "images_seen": self.images_seen,
            "seconds": self.elapsed(),
            "ema": self.ema.state_dict(),
            "rng": _get_rng(self.device),
            "world_size": self.trainer.world_size,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["genbench"]
        self.images_seen, self.seconds, self._rng = state["images_seen"], state["seconds"], state["rng"]
        self.ema.load_state_dict(state["ema"])

    def averaged_state_dict(self) -> dict[str, Tensor]:
        """The model's weights as they are judged: averaged where the EMA follows, live elsewhere."""
        return self.raw_state_dict() | {name: value.cpu().clone() for name, value in self.ema.state_dict().items()}

    def raw_state_dict(self) -> dict[str, Tensor]:
        """The model's weights as the optimiser left them."""
        return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}


def _get_rng(device: torch.device) -> dict[str, Tensor | None]:
    on_gpu = device.type == "cuda"
    return {"torch": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state(device) if on_gpu else None}


def _set_rng(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
