"""The variance of the reverse steps, learned beside the image."""

from typing import ClassVar

from torch import Tensor

from genbench.core import ConfigError
from genbench.diffusion.objectives.base import Objective


class LearnedVariance(Objective):
    """L_simple + `weight` L_vlb (Nichol & Dhariwal 2021, eqs. 15-16), for any prediction of the mean.

    The network's second output is the place of the log variance between its two bounds, which ancestral sampling
    uses; the bound, in bits per dimension, teaches it alone: the mean is held fixed in it.
    """

    outputs: ClassVar[int] = 2

    def __init__(self, mean: Objective, weight: float = 0.001) -> None:
        if weight <= 0.0:
            raise ConfigError(f"objective.weight is {weight}; expected a positive weight of the bound, such as 0.001")
        self.mean, self.weight = mean, weight

    def target(self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return self.mean.target(x0, eps, alpha, sigma)

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return self.mean.input_scale(alpha, sigma)

    def skip_gain(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean.skip_gain(alpha, sigma)
