"""Noise schedules: how much signal and how much noise at each time."""

from genbench.diffusion.schedules.base import NoiseSchedule, RectifiedPath, VarianceExploding, VariancePreserving
from genbench.diffusion.schedules.betas import Betas
from genbench.diffusion.schedules.cosine import Cosine
from genbench.diffusion.schedules.edm import EDM
from genbench.diffusion.schedules.flow import Flow
from genbench.diffusion.schedules.linear import Linear
from genbench.diffusion.schedules.sigmoid import Sigmoid

__all__ = [
    "EDM",
    "Betas",
    "Cosine",
    "Flow",
    "Linear",
    "NoiseSchedule",
    "RectifiedPath",
    "Sigmoid",
    "VarianceExploding",
    "VariancePreserving",
]
