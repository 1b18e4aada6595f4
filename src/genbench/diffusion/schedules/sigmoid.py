"""A sigmoid in alpha^2."""

import math

from torch import Tensor

from genbench.core import ConfigError
from genbench.diffusion.schedules.base import VariancePreserving


class Sigmoid(VariancePreserving):
    """alpha^2 falls along a sigmoid's piece from `start` to `end` (Jabri et al. 2023, appendix B).

    `tau` is its temperature, and `floor` keeps a trace of signal at t = 1.
    """

    def __init__(
        self,
        steps: int | None = 1000,
        start: float = -3.0,
        end: float = 3.0,
        tau: float = 1.0,
        floor: float = 1e-6,
        shift: float = 1.0,
    ) -> None:
        super().__init__(steps, shift)
        if not start < end or tau <= 0.0:
            raise ConfigError(
                f"scheduler.start={start}, end={end}, tau={tau}: expected start below end and a positive tau"
            )
        self.start, self.end, self.tau, self.floor = start, end, tau, floor
        self.low, self.high = (1.0 / (1.0 + math.exp(-x / tau)) for x in (start, end))

    def unshifted_level(self, t: Tensor) -> Tensor:
        value = ((t * (self.end - self.start) + self.start) / self.tau).sigmoid()
        alpha_bar = self.floor + (1.0 - self.floor) * ((self.high - value) / (self.high - self.low)).clamp(0.0, 1.0)
        return ((1.0 - alpha_bar) / alpha_bar).sqrt()

    def unshifted_time(self, level: Tensor) -> Tensor:
        alpha_bar = ((1.0 + level.square()).reciprocal() - self.floor) / (1.0 - self.floor)
        value = self.high - (self.high - self.low) * alpha_bar
        return (self.tau * value.logit() - self.start) / (self.end - self.start)
