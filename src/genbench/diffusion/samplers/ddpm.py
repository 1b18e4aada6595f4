"""Ancestral sampling."""

from torch import Tensor

from genbench.core import Noise
from genbench.diffusion.samplers.base import Denoiser, DiffusionSampler
from genbench.diffusion.schedules import NoiseSchedule


class DDPM(DiffusionSampler):
    """Draws x_s from the posterior q(x_s | x_t, x0) on a possibly coarser grid (Ho et al. 2020, eqs. 6-7)."""

    def __init__(self, steps: int = 250, guidance: float = 1.0) -> None:
        super().__init__(steps, guidance)

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        grid = schedule.grid(self.steps).to(x.device)
        alpha_bar = schedule.alpha_bar(grid)
        for i in range(self.steps):
            bar_t, bar_s = alpha_bar[i], alpha_bar[i + 1]
            step = bar_t / bar_s  # the alpha of one (coarse) step; its beta is 1 - step
            x0 = denoise(x, grid[i])

            # eq. 7: posterior mean and variance
            from_x0 = bar_s.sqrt() * (1.0 - step) / (1.0 - bar_t)
            from_xt = step.sqrt() * (1.0 - bar_s) / (1.0 - bar_t)
            variance = (1.0 - bar_s) / (1.0 - bar_t) * (1.0 - step)

            x = from_x0 * x0 + from_xt * x
            if i + 1 < self.steps:
                x = x + variance.sqrt() * noise.normal(*x.shape[1:])
        return x
