"""The schedule of EDM."""

import math

import torch
from torch import Tensor

from genbench.core import ConfigError
from genbench.diffusion.schedules.base import VarianceExploding


class EDM(VarianceExploding):
    """sigma from `sigma_min` to `sigma_max`, evenly in its logarithm (Karras et al. 2022, table 1).

    Their c_noise = log(sigma)/4 is an affine map of this t, so a backbone that sees t sees it too.
    """

    def __init__(self, sigma_min: float = 0.002, sigma_max: float = 80.0, shift: float = 1.0) -> None:
        super().__init__(None, shift)
        if not 0.0 < sigma_min < sigma_max:
            raise ConfigError(f"scheduler sigmas {sigma_min}..{sigma_max}; expected 0 < sigma_min < sigma_max")
        self.low, self.high = math.log(sigma_min), math.log(sigma_max)
        self.prior_std = sigma_max * shift

    def unshifted_level(self, t: Tensor) -> Tensor:
        return torch.exp(self.low + (self.high - self.low) * t)

    def unshifted_time(self, level: Tensor) -> Tensor:
        return (level.log() - self.low) / (self.high - self.low)
