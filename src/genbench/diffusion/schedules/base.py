"""The contract of a noise schedule: x_t = alpha(t) x_0 + sigma(t) eps, t in [0,1], t = 1 (almost) pure noise."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genbench.core import ConfigError


class NoiseSchedule(ABC):
    """A noise level sigma/alpha that rises with t, and a path, the way alpha and sigma follow from the level.

    `steps` is T of a schedule trained at the times i/T, i = 1..T; None for continuous time. `shift` multiplies every
    level: image size / reference size for larger images (Hoogeboom et al. 2023, eq. 4), which on rectified flow is the
    shift of timesteps of Esser et al. 2024, eq. 23. `prior_std` is the deviation of x_1. All arithmetic is float64.
    """

    prior_std = 1.0

    def __init__(self, steps: int | None, shift: float) -> None:
        if steps is not None and steps < 1:
            raise ConfigError(f"scheduler.steps is {steps}; expected at least 1 (1000 is the common choice)")
        if not 0.0 < shift < math.inf:
            raise ConfigError(f"scheduler.shift is {shift}; expected a positive factor, 1 for none")
        self.steps, self.shift = steps, shift

    @abstractmethod
    def unshifted_level(self, t: Tensor) -> Tensor:
        """sigma/alpha at times float64 in [0,1], before the shift; may be inf at t = 1."""

    @abstractmethod
    def unshifted_time(self, level: Tensor) -> Tensor:
        """The inverse of `unshifted_level`, for levels from 0 to inf; times may fall outside of [0,1]."""

    @abstractmethod
    def scales(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma of a path at levels from 0 to inf."""

    @abstractmethod
    def position(self, level: Tensor) -> Tensor:
        """The coordinate in which the probability-flow ODE is solved; finite wherever alpha and sigma are."""

    @abstractmethod
    def level_at(self, position: Tensor) -> Tensor:
        """The inverse of `position`."""

    @abstractmethod
    def tangent(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """Derivatives of alpha and sigma by the position, so that dx = alpha' x_0 + sigma' eps."""

    def level(self, t: Tensor) -> Tensor:
        """Noise level sigma/alpha, float64 with the shape of `t`."""
        return self.shift * self.unshifted_level(t.double().clamp(0.0, 1.0))

    def time_of(self, level: Tensor) -> Tensor:
        """The time with this noise level, float64; levels the schedule does not reach are given its ends."""
        return self.unshifted_time(level.double() / self.shift).clamp(0.0, 1.0)

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha(t) and sigma(t), with the shape and precision of `t`."""
        alpha, sigma = self.scales(self.level(t))
        return alpha.to(t.dtype), sigma.to(t.dtype)

    def log_snr(self, t: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2), float64; inf without noise, -inf without signal."""
        return -2.0 * self.level(t).log()

    def snap(self, t: Tensor) -> Tensor:
        """Times of [0,1) on the grid of training: each i/T stands for the T-th of the interval that ends there."""
        return t if self.steps is None else ((t * self.steps).floor() + 1.0).clamp(max=self.steps) / self.steps

    def first_time(self) -> Tensor:
        """The least noisy time that is trained: 1/T, or 0."""
        return torch.tensor(0.0 if self.steps is None else 1.0 / self.steps, dtype=torch.float64)


class VariancePreserving(NoiseSchedule):
    """alpha^2 + sigma^2 = 1 (Ho et al. 2020); a quarter of a circle, whose position is its angle."""

    def scales(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return (1.0 + level.square()).rsqrt(), (1.0 + level.square().reciprocal()).rsqrt()

    def position(self, level: Tensor) -> Tensor:
        return level.atan()

    def level_at(self, position: Tensor) -> Tensor:
        return position.tan()

    def tangent(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor | float, Tensor | float]:
        return -sigma, alpha


class VarianceExploding(NoiseSchedule):
    """alpha = 1 (Song et al. 2021; Karras et al. 2022); the position is sigma."""

    def scales(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(level), level

    def position(self, level: Tensor) -> Tensor:
        return level

    def level_at(self, position: Tensor) -> Tensor:
        return position

    def tangent(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor | float, Tensor | float]:
        return 0.0, 1.0


class RectifiedPath(NoiseSchedule):
    """alpha + sigma = 1 (Liu et al. 2023; Lipman et al. 2023); a straight line, whose position is sigma."""

    def scales(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return (1.0 + level).reciprocal(), (1.0 + level.reciprocal()).reciprocal()

    def position(self, level: Tensor) -> Tensor:
        return (1.0 + level.reciprocal()).reciprocal()

    def level_at(self, position: Tensor) -> Tensor:
        return position / (1.0 - position)

    def tangent(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor | float, Tensor | float]:
        return -1.0, 1.0
