"""Learning-rate schedules as factors of the base rate; their clock is images seen."""

import math
from abc import ABC, abstractmethod

from genbench.core import ConfigError


class LRSchedule(ABC):
    """A factor in [0,1] after a linear warm-up over the first `warmup` images."""

    def __init__(self, warmup: int) -> None:
        if warmup < 0:
            raise ConfigError(f"lr_scheduler.warmup is {warmup}; expected 0 or more images")
        self.warmup = warmup

    def factor(self, images_seen: float, images: float) -> float:
        """Factor of the base rate when `images_seen` of `images` have been seen."""
        ramp = min(1.0, images_seen / self.warmup) if self.warmup else 1.0
        return ramp * self.decay(min(1.0, images_seen / images))

    @abstractmethod
    def decay(self, progress: float) -> float:
        """Factor without warm-up at a progress in [0,1]."""


class Constant(LRSchedule):
    """The base rate throughout."""

    def __init__(self, warmup: int = 0) -> None:
        super().__init__(warmup)

    def decay(self, progress: float) -> float:
        return 1.0


class Cosine(LRSchedule):
    """Half a cosine from 1 to `final` over the whole budget (Loshchilov & Hutter 2017, without restarts)."""

    def __init__(self, warmup: int = 0, final: float = 0.0) -> None:
        super().__init__(warmup)
        if not 0.0 <= final <= 1.0:
            raise ConfigError(f"lr_scheduler.final is {final}; expected a factor from 0 to 1")
        self.final = final

    def decay(self, progress: float) -> float:
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * progress))
