"""Trains small models in float64 with all that is around a training: alone, or sharded over torchrun's processes."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from safetensors.torch import save_file
from tiny_trainings import SPEC, Doubled, Flipped, Kept, Regression, bare_trainer
from torch import Tensor

from genbench.conditioning.text.learned import LearnedEncoder
from genbench.core import Batch, Condition, GenerativeModel, Noise, SeededNoise
from genbench.core.pixels import to_uint8
from genbench.diffusion import times
from genbench.diffusion.objectives import Epsilon
from genbench.diffusion.samplers import DDIM
from genbench.diffusion.schedules import Cosine as CosineSchedule
from genbench.diffusion.weightings import Uniform
from genbench.evaluation.ranks import distributed, rank, world
from genbench.families.diffusion import Diffusion
from genbench.families.gan import DCGAN
from genbench.networks.backbone import Backbone
from genbench.networks.dit import DiT
from genbench.networks.unet import UNet
from genbench.training.checkpoint import ResumeCheckpoint
from genbench.training.lr import Cosine
from genbench.training.module import TrainingModule
from genbench.training.preview import Preview
from genbench.training.recompute import recompute
from genbench.training.recorder import Recorder
from genbench.training.selection import Selection
from genbench.training.sharded import Sharded
from genbench.training.sharding import local
from genbench.training.snapshots import Snapshots

IMAGES, BATCH, SAVED = 264, 64, 192
"""Four whole batches and eight images that remain; a checkpoint after three."""


def diffusion(backbone: Backbone) -> Diffusion:
    return Diffusion(SPEC, CosineSchedule(), Epsilon(), Uniform(), times.Uniform(), DDIM(steps=4), backbone)


def recomputed_unet() -> Diffusion:
    model = diffusion(UNet(SPEC, (8, 16), 1, 8, 2))
    recompute(model)
    return model


def captioned() -> Diffusion:
    """With a text encoder that is trained along, and so many captions left out that some processes read none."""
    words = LearnedEncoder(8, 1, 2, 4, [f"digit{n}" for n in range(10)])
    spec = replace(SPEC, num_classes=0, captions=True)
    return Diffusion(
        spec, CosineSchedule(), Epsilon(), Uniform(), times.Uniform(), DDIM(steps=4), DiT(spec, 4, 16, 2, 2, context=8),
        text_encoder=words, label_dropout=0.97,
    )  # fmt: skip


class Faulty(Regression):
    """In the last process, the second batch has a loss that is not finite, with sound gradients."""

    def loss(self, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        bad = round(self.progress * IMAGES / BATCH) == 1 and rank() == world() - 1
        return {"loss": super().loss(batch, noise)["loss"] + (math.inf if bad else 0.0)}

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        return self.table(condition.label).unflatten(1, SPEC.shape)


MODELS: dict[str, Callable[[], GenerativeModel]] = {
    "dit": lambda: diffusion(DiT(SPEC, 4, 16, 2, 2)),
    "recomputed_unet": recomputed_unet,
    "dcgan": lambda: DCGAN(SPEC, latent=4, channels=(8, 16)),
    "faulty": Faulty,
    "text": captioned,
}


@contextmanager
def float64() -> Iterator[None]:
    """All numbers, those of noise too, have 64 bits."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@float64()
def trained(name: str, folder: Path, start: Path | None = None) -> tuple[TrainingModule, list[dict[str, float]]]:
    """A model after its training, from the beginning or a checkpoint, and what was logged."""
    torch.manual_seed(0)
    model = MODELS[name]()
    module = TrainingModule(
        model,
        lambda p: torch.optim.AdamW(p, lr=0.01),
        Cosine(),
        IMAGES,
        clip=0.1,
        ema_half_life=100.0,
        ema_rampup=0.5,
        accumulate=2,
        nonfinite="skip" if name == "faulty" else "stop",
    )

    def look() -> tuple[Tensor, Mapping[str, float], Sequence[str] | None]:
        with torch.no_grad():
            images = model.sample(SeededNoise(7, range(4), "cpu"), Condition(torch.arange(4)))
        return to_uint8(images), {"fd": float(images.square().mean())}, None

    logger, recorder = Kept(), Recorder(64)
    callbacks = [
        recorder,
        Preview(folder, 128, look, Selection(folder / "best.safetensors", "fd")),
        Snapshots(folder, 128),
        ResumeCheckpoint(folder / "last.ckpt", folder / "previous.ckpt", SAVED, recorder),
    ]
    strategy = Sharded() if world() > 1 else "auto"
    trainer = bare_trainer(callbacks, devices=world(), strategy=strategy, logger=logger)
    pl.seed_everything(1, verbose=False)
    trainer.fit(module, Doubled(Flipped(), BATCH, IMAGES, seed=3), ckpt_path=start, weights_only=True)
    assert module.images_seen == IMAGES
    return module, logger.records


def keep(module: TrainingModule, records: list[dict[str, float]], folder: Path) -> None:
    """Leaves weights, averages, what was logged, and the share of the parameters that this process holds."""
    raw = module.raw_state_dict()
    averaged = module.averaged_state_dict(raw)
    there = {f"averaged/{key}": value.clone() for key, value in averaged.items()}  # weights without one are the raw
    there |= {f"raw/{key}": value for key, value in raw.items()}
    for key in sorted(set().union(*records)):
        if "loss" in key or "norm" in key or key in ("fd", "skipped"):
            there[f"logged/{key}"] = torch.tensor([r[key] for r in records if key in r], dtype=torch.float64)
    held = sum(local(p).numel() for p in module.model.parameters())
    there["held"] = torch.tensor(held / sum(p.numel() for p in module.model.parameters()))
    save_file({key: value.contiguous() for key, value in there.items()}, folder / f"rank{rank()}.safetensors")


if __name__ == "__main__":
    alone, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with distributed():
        for name in MODELS:
            here = folder / name
            keep(*trained(name, here), here)
            again = here / "resumed"
            keep(*trained(name, again, alone / name / "last.ckpt"), again)
