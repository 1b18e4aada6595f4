"""Denoising diffusion implicit models."""

from torch import Tensor

from genbench.core import ConfigError, Noise
from genbench.diffusion.samplers.base import Denoiser, DiffusionSampler
from genbench.diffusion.schedules import NoiseSchedule


class DDIM(DiffusionSampler):
    """Song et al. 2021, eq. 12: eta = 0 is deterministic, eta = 1 has the ancestral variance."""

    def __init__(self, steps: int = 50, eta: float = 0.0, guidance: float = 1.0) -> None:
        super().__init__(steps, guidance)
        if not 0.0 <= eta <= 1.0:
            raise ConfigError(f"sampler.eta is {eta}; expected 0 (deterministic) to 1 (ancestral)")
        self.eta = eta

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        grid = schedule.grid(self.steps).to(x.device)
        alphas, sigmas = schedule.alpha_sigma(grid)
        for i in range(self.steps):
            alpha, sigma, alpha_next, sigma_next = alphas[i], sigmas[i], alphas[i + 1], sigmas[i + 1]
            x0 = denoise(x, grid[i])
            eps = (x - alpha * x0) / sigma

            # eq. 16: the part of the next step's noise that is drawn afresh
            fresh = self.eta * sigma_next / sigma * (1.0 - (alpha / alpha_next) ** 2).clamp(min=0.0).sqrt()
            kept = (sigma_next**2 - fresh**2).clamp(min=0.0).sqrt()

            x = alpha_next * x0 + kept * eps
            if self.eta > 0.0 and i + 1 < self.steps:
                x = x + fresh * noise.normal(*x.shape[1:])
        return x
