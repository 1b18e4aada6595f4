"""Samplers: from noise to images, given a denoiser; they never learn what the network predicts."""

from genbench.diffusion.samplers.adaptive import Adaptive
from genbench.diffusion.samplers.base import DiffusionSampler, FixedSteps
from genbench.diffusion.samplers.consistency import Consistency
from genbench.diffusion.samplers.ddim import DDIM
from genbench.diffusion.samplers.ddpm import DDPM
from genbench.diffusion.samplers.dpm_solver import DPMSolver2M, DPMSolver2MSDE, DPMSolver3M
from genbench.diffusion.samplers.heun import Heun
from genbench.diffusion.samplers.library import DiffusersSampler
from genbench.diffusion.samplers.runge_kutta import RK4, Midpoint

__all__ = [
    "DDIM",
    "DDPM",
    "RK4",
    "Adaptive",
    "Consistency",
    "DPMSolver2M",
    "DPMSolver2MSDE",
    "DPMSolver3M",
    "DiffusersSampler",
    "DiffusionSampler",
    "FixedSteps",
    "Heun",
    "Midpoint",
]
