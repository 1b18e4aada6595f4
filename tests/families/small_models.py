"""Small models of every family, with weights that make every branch count."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from genbench.conditioning.text.base import TextEncoder
from genbench.conditioning.text.learned import LearnedEncoder
from genbench.conditioning.text.vocabulary import vocabulary_of
from genbench.core import Batch, GenerativeModel, ImageSpec, StreamNoise
from genbench.core.pixels import from_levels
from genbench.diffusion import times
from genbench.diffusion.objectives import Epsilon, Objective
from genbench.diffusion.samplers import DDIM, DiffusionSampler
from genbench.diffusion.schedules import Cosine, NoiseSchedule
from genbench.diffusion.weightings import Uniform
from genbench.families.autoregressive import PixelGPT, TokenSampler
from genbench.families.diffusion import Diffusion
from genbench.families.gan import DCGAN
from genbench.families.vae import VAE
from genbench.networks.backbone import Backbone
from genbench.networks.dit import DiT
from genbench.networks.unet import UNet

Build = Callable[..., GenerativeModel]

CAPTIONS = ["a red circle", "a small blue square above a red circle", "", "a blue circle"]
WORDS = vocabulary_of(CAPTIONS)

CHANNELS = {8: (8, 16), 28: (8, 8, 16), 32: (8, 8, 8, 16)}


def _vae(spec: ImageSpec, conditional: bool, channels: Sequence[int]) -> VAE:
    return VAE(spec, conditional, latent=4, channels=channels, embedding=6)


def _dcgan(spec: ImageSpec, conditional: bool, channels: Sequence[int]) -> DCGAN:
    return DCGAN(spec, conditional, latent=4, channels=channels, embedding=6)


def _pixel_gpt(spec: ImageSpec, conditional: bool, channels: Sequence[int]) -> PixelGPT:
    return PixelGPT(spec, TokenSampler(), conditional, width=8, layers=1, heads=2)


def diffusion(
    spec: ImageSpec,
    sampler: DiffusionSampler,
    backbone: Backbone,
    schedule: NoiseSchedule | None = None,
    objective: Objective | None = None,
    **others: Any,
) -> Diffusion:
    """A diffusion with the choices of DDPM where none is made."""
    schedule, objective = schedule or Cosine(), objective or Epsilon()
    return Diffusion(spec, schedule, objective, Uniform(), times.Uniform(), sampler, backbone, **others)


def _ddpm(spec: ImageSpec, conditional: bool, channels: Sequence[int]) -> Diffusion:
    return diffusion(spec, DDIM(steps=4), UNet(spec, channels, 1, 8, 2), conditional=conditional)


FAMILIES: dict[str, Build] = {"vae": _vae, "dcgan": _dcgan, "pixel_gpt": _pixel_gpt, "ddpm": _ddpm}


def awake(model: GenerativeModel) -> GenerativeModel:
    """The model with all weights drawn afresh and ready to sample: no branch is still at its zero start."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.2, generator=generator)
    return model.eval()


def text_to_image(
    spec: ImageSpec, sampler: DiffusionSampler | None = None, encoder: TextEncoder | None = None, **others: Any
) -> Diffusion:
    """A small diffusion that reads captions."""
    backbone = DiT(spec, 4, 16, 1, 2, outputs=others.pop("outputs", 1), context=12)
    encoder = LearnedEncoder(8, 1, 2, 16, WORDS) if encoder is None else encoder
    return diffusion(spec, sampler or DDIM(steps=4), backbone, text_encoder=encoder, **others)


def fake_batch(spec: ImageSpec, size: int = 5, seed: int = 0) -> Batch:
    """Random images at the data's own levels, with labels and captions where the data has them."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.randint(spec.levels, (size, *spec.shape), generator=generator)
    label: Tensor | None = torch.arange(size) % spec.num_classes if spec.num_classes else None
    caption = [CAPTIONS[i % len(CAPTIONS)] for i in range(size)] if spec.captions else None
    return Batch(from_levels(level, spec.levels), label, caption, torch.arange(size))


def losses(model: GenerativeModel, batch: Batch) -> list[Tensor]:
    """Every move's loss."""
    return [step.loss(batch, StreamNoise(len(batch)))["loss"] for step in model.train_steps()]
