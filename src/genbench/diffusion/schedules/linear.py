"""Betas that rise linearly."""

import math

import torch

from genbench.core import ConfigError
from genbench.diffusion.schedules.betas import Betas


class Linear(Betas):
    """Betas rising linearly (Ho et al. 2020, section 4); their range is scaled by 1000/steps."""

    def __init__(self, steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02, shift: float = 1.0) -> None:
        scale = 1000.0 / steps if steps > 0 else math.inf
        if not 0.0 < beta_start * scale <= beta_end * scale < 1.0:
            raise ConfigError(
                f"scheduler betas {beta_start}..{beta_end} scaled by 1000/{steps} leave (0,1): "
                "use scheduler.steps=1000 or more, or smaller betas"
            )
        super().__init__(
            torch.linspace(beta_start * scale, beta_end * scale, steps, dtype=torch.float64).tolist(), shift
        )
