"""The one Lightning module that trains any generative model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.plugins.precision import MixedPrecision
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor
from torch.optim import Optimizer

from genbench.core import Batch, ConfigError, GenerativeModel, StreamNoise, TrainStep
from genbench.core.waiting import PATIENCE
from genbench.training.clock import Clock
from genbench.training.ema import EMA
from genbench.training.lr import LRSchedule
from genbench.training.nonfinite import NonFinite, Skips
from genbench.training.replicas import average_gradients
from genbench.training.rng import own_stream, rng_state, set_rng_state
from genbench.training.sharding import gathered, shard, whole

OptimizerFactory = Callable[[Iterable[torch.nn.Parameter]], Optimizer]


class TrainingModule(pl.LightningModule):
    """Makes every due move of a model for every batch: loss, backward, clip, optimiser, average.

    `images_seen` is the only clock. Optimisation is manual throughout, so that a GAN's two moves are no
    special case and Lightning's `global_step`, which counts every optimiser, is never read. `images` is the
    budget; `accumulate` splits each batch into that many pieces to save memory. `channels_last` and `compile` make
    it faster where the hardware likes them, and change weights by rounding alone. With `nonfinite="skip"` a move whose
    loss or gradient is not finite leaves weights, buffers, optimiser and average as they were, on all devices alike.
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
        nonfinite: NonFinite = "stop",
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
        self.images_seen = 0
        self.clock = Clock()
        self.skips = Skips(move.name for move in self.moves) if nonfinite == "skip" else None
        self.waits = False  # whether averages do, since a move that they follow was skipped
        self.ema = EMA(self._averaged_parameters(), ema_half_life, ema_rampup)
        self.sharded = False  # whether each device holds a part of the model, by `trainer=fsdp`
        self._grad_norm: Tensor | None = None
        self._refused = False  # whether a move was, by skips or a scaler that they leave it to
        self._skipped = False
        self._rng: dict[str, Any] | None = None
        self._group: Any = None  # of torch.distributed, where the default one cannot reach the device

    def _averaged_parameters(self) -> dict[str, torch.nn.Parameter]:
        averaged = {id(p) for move in self.moves if move.averaged for p in move.module.parameters()}
        return {name: p for name, p in self.model.named_parameters() if id(p) in averaged}

    def configure_model(self) -> None:
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            assert self.device_mesh is not None
            shard(self.model, self.device_mesh)
            self.ema = EMA(self._averaged_parameters(), self.ema.half_life, self.ema.rampup)
            self.sharded = True

    def configure_optimizers(self) -> list[Optimizer]:
        """One optimiser for each of the model's moves.

        Raises:
            ConfigError: a value that the optimizer refuses.
        """
        try:
            return [self.factory([p for p in move.module.parameters() if p.requires_grad]) for move in self.moves]
        except (ValueError, RuntimeError) as error:
            raise ConfigError(_refused(self.factory, error)) from error

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        wrapped = self.optimizers()
        optimizers = wrapped if isinstance(wrapped, list) else [wrapped]
        losses: dict[str, Tensor] = {}
        self.model.progress = self.images_seen / self.images
        self.waits = False
        seen = len(batch) * self.trainer.world_size
        with own_stream(self.device, self.images_seen, self.trainer.global_rank) as shared:
            for move, optimizer in zip(self.moves, optimizers, strict=True):
                losses |= self._move(move, optimizer, batch, StreamNoise(seen, self.device, shared))
                if self.skips is not None:
                    self.skips.count(move.name, self._skipped, self.images_seen + seen)
                    self.waits |= self._skipped and move.averaged
        if self._scaler is not None:
            losses["loss_scale"] = torch.tensor(self._scaler.get_scale(), device=self.device)
        self.images_seen += seen
        self.clock.enter("ema")
        if not self.waits:
            self.ema.update(self.images_seen, seen)
        self.clock.enter("rest")
        return losses

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.clock.enter("data")  # what callbacks do is over: Lightning fetches the next batch

    def _move(self, move: TrainStep, optimizer: Any, batch: Batch, noise: StreamNoise) -> dict[str, Tensor]:
        self.clock.enter("forward_backward")
        alone = len(self.moves) == 1
        buffers = [buffer.clone() for buffer in self.model.buffers()] if self.skips is not None else []
        if not alone:
            self.toggle_optimizer(optimizer)
        optimizer.zero_grad(set_to_none=True)
        logged: dict[str, Tensor] = {}
        start = self.trainer.global_rank * len(batch)
        for piece in batch.split(self.accumulate):
            share = len(piece) / len(batch)
            losses = self.model(move.loss, piece, noise.part(start, start + len(piece)))
            start += len(piece)
            self.manual_backward(losses["loss"] * share)
            for name, value in losses.items():
                logged[name] = logged.get(name, 0.0) + value.detach() * share
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if self.skips is not None:
            self.skips.show(logged["loss"], parameters)
        if self.trainer.world_size > 1 and not self.sharded:  # there gradients come averaged
            self.clock.enter("communication")
            average_gradients(parameters, self._group)
        self.clock.enter("optimizer")
        for group in optimizer.param_groups:
            base = group.setdefault("base_lr", group["lr"])
            group["lr"] = base * self.lr_scheduler.factor(self.images_seen, self.images)
        optimizer.step()
        if self._refused:
            for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(before)
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
        norm = whole(torch.nn.utils.clip_grad_norm_(parameters, limit).detach())
        self._refused = self.skips is not None and self.skips.refuses(norm, parameters)
        self._skipped = self._refused
        if self._scaler is not None and self._scaler.get_scale() >= 1.0:
            # too large a scale, no ruin: the scaler makes no step and tries a smaller one next
            norm = torch.where(norm.isfinite(), norm, 0.0)
            self._skipped = False
        self._grad_norm = norm

    # -- the clock of training seconds -----------------------------------------------------------------------

    def on_train_start(self) -> None:
        self.ema.to(self.device)
        if self.trainer.world_size > 1 and self.device.type == "cuda" and not self.sharded:
            self._group = dist.new_group(backend="nccl", timeout=PATIENCE)
        if self._rng is not None:
            set_rng_state(self._rng, self.device)
            self._rng = None
        self.clock.start(self.device)

    def elapsed(self) -> float:
        """Seconds of training so far, over all resumes, without judging and saving."""
        return self.clock.elapsed()

    @contextmanager
    def off_the_clock(self) -> Iterator[None]:
        """Time spent inside is not training time; all devices come here, and none goes on before the others."""
        with self.clock.off():
            yield
            if self.trainer.world_size > 1:
                dist.barrier()  # and not for gradients, where a watch is kept on those that wait

    # -- what a resumed training needs beside weights and optimisers -----------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["genbench"] = {
            "images_seen": self.images_seen,
            "seconds": self.elapsed(),
            "ema": self.ema.state_dict(),
            "rng": rng_state(self.device),
            "world_size": self.trainer.world_size,
            "skips": None if self.skips is None else self.skips.state_dict(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["genbench"]
        self.images_seen, self.clock.seconds, self._rng = state["images_seen"], state["seconds"], state["rng"]
        self.ema.load_state_dict(state["ema"])
        if self.skips is not None and state.get("skips"):
            self.skips.load_state_dict(state["skips"])

    # of a sharded model all processes have to ask for these, and the first one gets them

    def averaged_state_dict(self, raw: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The model's weights as they are judged: averaged where the EMA follows, live (`raw`, if given) elsewhere."""
        live = self.raw_state_dict() if raw is None else dict(raw)
        return live | {name: value.cpu().clone() for name, value in self.ema.state_dict().items()}

    def raw_state_dict(self) -> dict[str, Tensor]:
        """The model's weights as the optimiser left them."""
        return {name: value.detach().cpu().clone() for name, value in gathered(self.model.state_dict()).items()}


_IN_WORDS = {"lr": "learning rate", "betas": "beta", "eps": "epsilon"}
"""What torch's optimisers call an argument in their messages, where that is not its name."""


def _refused(factory: OptimizerFactory, error: Exception) -> str:
    """An optimiser's refusal of its arguments with the config's names of those that it mentions."""
    said = str(error).lower().replace("_", " ")
    arguments = getattr(factory, "keywords", {}).items()
    words = {key: _IN_WORDS.get(key, key).replace("_", " ") for key, _ in arguments}
    named = [f"optimizer.{key}={value}" for key, value in arguments if words[key] in said]
    return f"{', '.join(named) or 'optimizer'}: {error}"
