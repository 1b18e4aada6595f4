"""Power-function averages kept while training, and weights of any average put together from them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from genbench.core import ConfigError, RunError
from genbench.core.files import write_atomically
from genbench.training.every import Every
from genbench.training.module import TrainingModule
from genbench.training.power_ema import FARTHEST, LENGTHS, Profile, combination, decay, gamma_of
from genbench.training.sharding import gathered, local, spread


class Snapshots(pl.Callback):
    """Averages the weights at the two `LENGTHS`, and saves both at every multiple of `every` images and at the end.

    Raises:
        RunError: a snapshot cannot be written, or a training is resumed that made none before.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, Every(every, "ema_snapshot_every")
        self.averages: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        if module.images_seen and not self.averages:
            raise RunError(
                f"the first {module.images_seen} images of this training were not averaged for snapshots: resume it "
                "with training.ema_snapshot_every=null, or train in another run_dir"
            )
        self.every.start(module.images_seen)
        live = {f"{length}/{name}": value for length in LENGTHS for name, value in module.ema.shadow.items()}
        start = spread(self.averages, live) if self.averages else live
        self.averages = {key: value.to(module.device, copy=True) for key, value in start.items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        if not module.waits:
            self._update(module, len(batch) * trainer.world_size)
        due = self.every.due(module.images_seen) or module.images_seen == module.images
        if due:
            with module.off_the_clock():
                averages = self.state_dict()
                if trainer.is_global_zero:
                    self._save(averages, module.images_seen)

    @torch.no_grad()
    def _update(self, module: TrainingModule, batch: int) -> None:
        live = module.ema.parameters
        for length in LENGTHS:
            averages = [local(self.averages[f"{length}/{name}"]) for name in live]
            share = 1.0 - decay(gamma_of(length), module.images_seen, batch)
            torch._foreach_lerp_(averages, [local(p.detach()) for p in live.values()], share)

    def _save(self, averages: dict[str, Tensor], images: int) -> None:
        content = save({key: value.cpu().contiguous() for key, value in averages.items()})
        write_atomically(self.folder / f"images-{images:012d}.safetensors", content)

    def state_dict(self) -> dict[str, Any]:
        whole: dict[str, Tensor] = gathered(self.averages)
        return whole

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.averages = dict(state)


def put_together(folder: Path, length: float) -> dict[str, Tensor]:
    """The average of relative length `length` at the end of a training, from the snapshots in a folder.

    Raises:
        ConfigError: no snapshots, or too few for this length.
    """
    files = sorted(folder.glob("images-*.safetensors"))
    if not files:
        raise ConfigError(
            f"averages of another length need snapshots, and there are none in {folder}: train with "
            "training.ema_snapshot_every=IMAGES in another run_dir, or use the weights ema or raw"
        )
    images = [float(file.stem.removeprefix("images-")) for file in files]
    stored = [Profile(gamma_of(tracked), seen) for seen in images for tracked in LENGTHS]
    factors, distance = combination(stored, Profile(gamma_of(length), images[-1]))
    if distance > FARTHEST:
        raise ConfigError(
            f"the {len(files)} snapshots in {folder} come no nearer to an average of relative length {length:g} than "
            f"{distance:.0%}: choose one nearer to {LENGTHS[0]:g} to {LENGTHS[-1]:g}, or train with more of them"
        )
    total: dict[str, Tensor] = {}
    with ExitStack() as stack:
        opened = [stack.enter_context(safe_open(file, framework="pt")) for file in files]
        keys = list(opened[0].keys())
        names = [key.removeprefix(f"{LENGTHS[0]}/") for key in keys if key.startswith(f"{LENGTHS[0]}/")]
        for name in names:
            parts = [file.get_tensor(f"{tracked}/{name}") for file in opened for tracked in LENGTHS]
            whole = sum(part.double() * factor for part, factor in zip(parts, factors, strict=True))
            assert isinstance(whole, Tensor)
            total[name] = whole.to(parts[0].dtype)
    return total
