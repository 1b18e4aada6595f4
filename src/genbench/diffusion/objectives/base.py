"""The contract of an objective."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Objective(ABC):
    """What the network predicts; alpha and sigma broadcast against images [B,C,H,W].

    Every prediction stands for an image that is linear in it, D = skip x_t + gain F (Karras et al. 2022, eq. 7),
    which is all that samplers, guidance and weightings know. `outputs` is how many images the network returns.
    """

    outputs: ClassVar[int] = 1

    @abstractmethod
    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What the network should output for x_t = alpha x0 + sigma eps."""

    @abstractmethod
    def skip_gain(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The factors of x_t and of the output in the image that they stand for."""

    def to_denoised(self, output: Tensor, xt: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The image x0 that a network output stands for."""
        skip, gain = self.skip_gain(alpha, sigma)
        return skip * xt + gain * output

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What x_t is multiplied by before the network sees it: it shrinks what is larger than unit noise."""
        return torch.hypot(alpha, sigma).clamp(min=1.0).reciprocal()
