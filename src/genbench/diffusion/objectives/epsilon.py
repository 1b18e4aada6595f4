"""Predict the noise."""

import torch
from torch import Tensor

from genbench.diffusion.objectives.base import Objective


class Epsilon(Objective):
    """Noise prediction with the simple, unweighted loss (Ho et al. 2020, eq. 14)."""

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return eps

    def weight(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)

    def to_denoised(self, output: Tensor, xt: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (xt - sigma * output) / alpha
