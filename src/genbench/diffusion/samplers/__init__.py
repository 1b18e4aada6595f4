"""Samplers: from noise to images, given a denoiser; they never learn what the network predicts."""

from genbench.diffusion.samplers.base import Denoiser, DiffusionSampler
from genbench.diffusion.samplers.ddim import DDIM
from genbench.diffusion.samplers.ddpm import DDPM

__all__ = ["DDIM", "DDPM", "Denoiser", "DiffusionSampler"]
