"""The resume checkpoint: replaced as a whole or not at all, and verified before it is used."""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from genbench.core import RunError
from genbench.core.errors import first_line
from genbench.training.every import Every
from genbench.training.module import TrainingModule
from genbench.training.recorder import Recorder

log = logging.getLogger(__name__)

KEPT = "checkpoints"
"""The folder of checkpoints that are kept for good."""


class InPlace(TorchCheckpointIO):
    """Writes checkpoints where they belong; Lightning's own way is through memory and the system's temporary folder,
    where a killed process would leave them."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        try:
            torch.save(checkpoint, path)
        except RuntimeError as error:
            # so torch's zip writer tells of a full disk
            if any(part in str(error) for part in ("inline_container", "PytorchStreamWriter")):
                raise OSError(first_line(error)) from error
            raise


class ResumeCheckpoint(pl.Callback):
    """Saves `path` at every multiple of `every` images, after the recorder has found the losses finite.

    The checkpoint before is kept as `previous`; those at multiples of `keep_every` for good, in a folder beside it.
    """

    def __init__(
        self, path: Path, previous: Path, every: int, recorder: Recorder, keep_every: int | None = None
    ) -> None:
        self.path, self.previous, self.recorder = path, previous, recorder
        self.every = Every(every, "checkpoint_every")
        self.keep = None if keep_every is None else Every(keep_every, "keep_every")

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TrainingModule)
        self.every.start(module.images_seen)
        if self.keep is not None:
            self.keep.start(module.images_seen)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(module, TrainingModule)
        if self.every.due(module.images_seen) or self._for_good(module):
            self.save(trainer, module)
        if self.keep is not None:
            self.keep.due(module.images_seen)

    def _for_good(self, module: TrainingModule) -> bool:
        return self.keep is not None and self.keep.passes(module.images_seen)

    def save(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        """Writes beside the old checkpoint, then takes its place; a crash between leaves at least one of the two.

        Raises:
            RunError: it cannot be written; the old one is untouched.
        """
        self.recorder.settle(trainer, module)
        with module.off_the_clock():
            partial, copy = self.path.with_suffix(".partial"), self.path.with_name("kept.partial")
            try:
                trainer.save_checkpoint(partial)
                if trainer.is_global_zero:
                    with partial.open("rb") as file:
                        os.fsync(file.fileno())
                    if self._for_good(module):
                        # first, for a training that goes on from `path` does not come by here again
                        shutil.copyfile(partial, copy)
                        self._keep(copy, module.images_seen)
                    if self.path.is_file():
                        self.path.replace(self.previous)
                    partial.replace(self.path)
            except OSError as error:
                for half in (partial, copy):
                    half.unlink(missing_ok=True)
                raise RunError(
                    f"cannot write the checkpoint {self.path} at {module.images_seen} images: {error}; the previous "
                    "one is kept: free some space and run the same command again to resume"
                ) from error

    def _keep(self, copy: Path, images: int) -> None:
        folder = self.path.with_name(KEPT)
        folder.mkdir(exist_ok=True)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        copy.replace(folder / f"{images:010d}.ckpt")


def newest(path: Path, previous: Path) -> dict[str, Any] | None:
    """The state to resume from, which then lies at `path`; None where there is no checkpoint.

    A damaged one gives way to the one before, with a warning.

    Raises:
        RunError: there are checkpoints, and none can be read.
    """
    damage = ""
    for candidate in (path, previous):
        if not candidate.is_file():
            continue
        try:
            state = read(candidate)
        except Exception as error:  # torch's errors for a damaged file have no common base
            damage = damage or f"{candidate} ({first_line(error)})"
            continue
        if candidate != path:
            if damage:
                log.warning("cannot read the checkpoint %s: taking the one before", damage)
            candidate.replace(path)
        return state
    if damage:
        raise RunError(f"cannot read the checkpoint {damage}: delete {path.parent}/*.ckpt to train from the start")
    return None


def read(path: Path) -> dict[str, Any]:
    """A checkpoint whose every byte agrees with its checksums; tensors are mapped, not copied.

    Raises:
        Exception: it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if (part := archive.testzip()) is not None:
            raise ValueError(f"{part} does not agree with its checksum")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not {"state_dict", "genbench"} <= state.keys():
        raise ValueError("it is not of a training of genbench")
    return state
