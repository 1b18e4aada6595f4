"""Loss weightings: which noise levels matter how much.

All but the uniform one weigh the error of the *image* by the signal-to-noise ratio, so that they mean the same for
every prediction: an error of the output counts `gain`^2 times, since it moves the image by `gain`.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genbench.core import ConfigError


class Weighting(ABC):
    """A weight of the squared error of a network's output."""

    @abstractmethod
    def __call__(self, snr: Tensor, gain: Tensor) -> Tensor:
        """The weight at ratios alpha^2 / sigma^2, finite and positive, for outputs that move the image by `gain`."""


class Uniform(Weighting):
    """1 for whatever is predicted (Ho et al. 2020, eq. 14)."""

    def __call__(self, snr: Tensor, gain: Tensor) -> Tensor:
        return torch.ones_like(gain)


class MinSNR(Weighting):
    """min(SNR, gamma) of the image's error (Hang et al. 2023, section 3.4)."""

    def __init__(self, gamma: float = 5.0) -> None:
        self.gamma = _positive("gamma", gamma)

    def __call__(self, snr: Tensor, gain: Tensor) -> Tensor:
        return snr.clamp(max=self.gamma) * gain.square()


class SoftMinSNR(Weighting):
    """1 / (1/SNR + 1/gamma) of the image's error (Crowson et al. 2024, section 4.5)."""

    def __init__(self, gamma: float = 4.0) -> None:
        self.gamma = _positive("gamma", gamma)

    def __call__(self, snr: Tensor, gain: Tensor) -> Tensor:
        return snr * self.gamma / (snr + self.gamma) * gain.square()


class P2(Weighting):
    """1 / (k + SNR)^gamma of the noise's error (Choi et al. 2022, eq. 8)."""

    def __init__(self, k: float = 1.0, gamma: float = 1.0) -> None:
        self.k, self.gamma = _positive("k", k), _positive("gamma", gamma)

    def __call__(self, snr: Tensor, gain: Tensor) -> Tensor:
        return snr * (self.k + snr).pow(-self.gamma) * gain.square()


class Sigmoid(Weighting):
    """sigmoid(bias - log SNR) of the noise's error (Kingma & Gao 2023, appendix; Hoogeboom et al. 2024).

    Theirs is an integral over log SNR; here the density of times stands for its measure.
    """

    def __init__(self, bias: float = 2.0) -> None:
        self.bias = bias

    def __call__(self, snr: Tensor, gain: Tensor) -> Tensor:
        return math.exp(self.bias) * torch.sigmoid(snr.log() - self.bias) * gain.square()


class EDM(Weighting):
    """1/sigma_data^2 + SNR of the image's error (Karras et al. 2022, table 1, lambda)."""

    def __init__(self, sigma_data: float = 0.5) -> None:
        self.sigma_data = _positive("sigma_data", sigma_data)

    def __call__(self, snr: Tensor, gain: Tensor) -> Tensor:
        return (1.0 / self.sigma_data**2 + snr) * gain.square()


class Velocity(Weighting):
    """(1 + sqrt(SNR))^2 of the image's error, which makes it the error of eps - x0: uniform for that, on any schedule.

    The share of noise sigma / (alpha + sigma), t on the flow, counts as at least `least`: below, the weight of an
    error that no network avoids would grow without end (as Li & He 2025, "Back to Basics", section 4, bound it).
    """

    def __init__(self, least: float = 0.05) -> None:
        if not 0.0 < least < 1.0:
            raise ConfigError(f"weighting.least is {least}; expected a share of noise between 0 and 1")
        self.least = least

    def __call__(self, snr: Tensor, gain: Tensor) -> Tensor:
        return (1.0 + snr.sqrt()).clamp(max=1.0 / self.least).square() * gain.square()


def _positive(name: str, value: float) -> float:
    if value <= 0.0:
        raise ConfigError(f"weighting.{name} is {value}; expected a positive number")
    return value
