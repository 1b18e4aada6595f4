"""How long a training is: a number of images, or the images that operations or seconds pay for."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from genbench.app.build import build
from genbench.app.first_stage import remember_latents
from genbench.app.text_encoder import remember_captions
from genbench.core import ConfigError, GenerativeModel, StreamNoise
from genbench.core.errors import first_line
from genbench.data.dataset import ImageDataset
from genbench.data.module import ImageDataModule
from genbench.run import Run

log = logging.getLogger(__name__)

COUNTED = 8
"""Images of the batch whose operations are counted."""
KEPT = "flops_per_image"
"""The count's name in a run's manifest."""


def settle_budget(config: dict[str, Any], dataset: ImageDataset) -> tuple[dict[str, Any], float | None]:
    """The config with `budget.images` filled in where operations pay for them, and those of an image, then counted.

    Seconds are settled in training.

    Raises:
        ConfigError: two budgets or none, or less than one batch is paid for.
    """
    budget = config["budget"]
    given = [f"budget.{key}={budget[key]}" for key in ("images", "flops", "seconds") if budget.get(key) is not None]
    if len(given) != 1:
        raise ConfigError(
            f"{' and '.join(given) or 'no budget'}: give budget.images=100000, or budget=flops budget.flops=1e13, or "
            "budget=seconds budget.seconds=60"
        )
    if budget["flops"] is None:
        return config, None
    folder = config["run_dir"]
    each = _kept(Run(Path(folder))) if folder is not None and (Path(folder) / "manifest.json").is_file() else None
    if each is None:
        each = flops_per_image(config, dataset)
    images = whole_batches(budget, "flops", each)
    log.info("%s: %.3g operations an image, so %d images", config["name"], each, images)
    return config | {"budget": budget | {"images": images}}, each


def whole_batches(budget: Mapping[str, Any], key: str, each: float) -> int:
    """How many images `budget[key]` pays for at the price of `each`, in whole batches.

    Raises:
        ConfigError: not even one batch.
    """
    size = int(budget["batch_size"])
    images = int(budget[key] / each) // size * size
    if not images:
        raise ConfigError(
            f"budget.{key}={budget[key]:g} is less than one batch of {size} images takes: give at least "
            f"budget.{key}={each * size:.3g}"
        )
    return images


def flops_per_image(config: Mapping[str, Any], dataset: ImageDataset) -> float:
    """Floating-point operations of all of a training step's moves, forward and backward, a multiply-add being two.

    Counted on the CPU for a few training images, so that it depends on the config and the data alone, on a model of its
    own: one that is compiled would take a minute, and one that computes activations again would count them twice. What
    is read once and remembered, latents and captions, counts as nothing; so do element-wise operations.
    """
    # not `torch.manual_seed`, which would also seed every GPU
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model: GenerativeModel = build(config["model"])
        remember_latents(model, dataset)
        remember_captions(model, dataset)
        return _operations(model, dataset)


def _operations(model: GenerativeModel, dataset: ImageDataset) -> float:
    torch.default_generator.manual_seed(0)
    feed = ImageDataModule(dataset, COUNTED, COUNTED, seed=0)
    batch = feed.on_after_batch_transfer(next(iter(feed.train_dataloader())), 0)
    steps = model.train_steps()
    for step in steps:  # encoders read what they will remember
        step.loss(batch, StreamNoise(len(batch)))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # the fused kernels of attention are no operations the counter knows
    counter: Any = FlopCounterMode(display=False)
    counter.mod_tracker = _Everything()
    with sdpa_kernel(SDPBackend.MATH), counter:
        for step in steps:
            own = {id(parameter) for parameter in step.module.parameters()}
            for parameter in trained:  # as in training: a GAN's generator learns without gradients of the other network
                parameter.requires_grad_(id(parameter) in own)
            torch.autograd.backward(step.loss(batch, StreamNoise(len(batch)))["loss"])
    return float(counter.get_total_flops()) / len(batch)


def flops_of_run(
    run: Run, config: Mapping[str, Any], dataset: ImageDataset, counted: float | None = None
) -> float | None:
    """As `flops_per_image`, for the record of a training: counted by its first start, and kept in its manifest.

    A missing figure must not cost the training: where operations cannot be counted there is none.
    """
    if (kept := _kept(run)) is not None:
        return kept
    try:
        found = flops_per_image(config, dataset) if counted is None else counted
    except Exception as error:  # whatever a model raises on its first batch, or the counter at its operations
        log.warning("no mfu is recorded, since operations cannot be counted: %s", first_line(error))
        return None
    run.note(**{KEPT: found})
    return found


def _kept(run: Run) -> float | None:
    kept: float | None = run.manifest.get(KEPT)
    return kept


class _Everything(contextlib.nullcontext[None]):
    """In the place of the counter's account by module, whose hooks refuse a gradient penalty's second derivative."""

    parents = frozenset({"Global"})
