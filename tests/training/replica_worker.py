"""Trains a small model of every family in float64 and leaves its weights: a process alone, or one of torchrun's."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from safetensors.torch import save_file
from small_models import CHANNELS, FAMILIES, text_to_image
from tiny_trainings import Doubled, Flipped, Kept, bare_trainer

from genbench.conditioning.text.learned import LearnedEncoder
from genbench.core import GenerativeModel, ImageSpec
from genbench.diffusion import objectives, schedules, times
from genbench.diffusion.samplers import Consistency
from genbench.evaluation.ranks import distributed
from genbench.families.consistency import ConsistencyTuning
from genbench.networks.unet import UNet
from genbench.training.lr import Cosine
from genbench.training.module import TrainingModule
from genbench.training.recorder import Recorder
from genbench.training.replicas import Replicas

SPEC = ImageSpec(1, 8, 8, 10, 17)
IMAGES, BATCH = 200, 64
"""Three whole batches, and eight images that remain."""


def ect() -> GenerativeModel:
    backbone = UNet(SPEC, CHANNELS[8], 1, 8, 2)
    return ConsistencyTuning(
        SPEC, schedules.EDM(), objectives.EDM(), times.LogNormal(-1.1, 2.0), Consistency(), backbone
    )


def captioned() -> GenerativeModel:
    words = LearnedEncoder(8, 1, 2, 4, [f"digit{n}" for n in range(10)])
    return text_to_image(replace(SPEC, num_classes=0, captions=True), encoder=words, label_dropout=0.5)


MODELS: dict[str, Callable[[], GenerativeModel]] = {
    **{name: partial(make, SPEC, True, CHANNELS[8]) for name, make in FAMILIES.items()},
    "ect": ect,
    "text_to_image": captioned,
}


def trained(name: str, accumulate: int) -> tuple[GenerativeModel, list[dict[str, float]]]:
    world = int(os.environ.get("WORLD_SIZE", "1"))
    torch.manual_seed(0)
    model = MODELS[name]().double()
    module = TrainingModule(
        model, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), Cosine(), IMAGES, accumulate=accumulate
    )
    logger = Kept()
    strategy = Replicas() if world > 1 else "auto"
    trainer = bare_trainer([Recorder(64)], devices=world, strategy=strategy, logger=logger)
    pl.seed_everything(1, verbose=False)  # as training does: processes are set back to this seed
    trainer.fit(module, Doubled(Flipped(), BATCH, IMAGES, seed=3))
    assert module.images_seen == IMAGES
    return model, logger.records


if __name__ == "__main__":
    folder, accumulate = Path(sys.argv[1]), int(sys.argv[2])
    with distributed():
        for name in MODELS:
            model, records = trained(name, accumulate)
            losses = {f"loss/{key}": [r[key] for r in records] for key in records[0] if "loss" in key or "norm" in key}
            if int(os.environ.get("RANK", "0")) == 0:
                there = {key: value.contiguous() for key, value in model.state_dict().items()}
                there |= {key: torch.tensor(value, dtype=torch.float64) for key, value in losses.items()}
                save_file(there, folder / f"{name}.safetensors")
