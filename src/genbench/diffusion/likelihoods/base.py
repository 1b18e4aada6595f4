"""The contract of a diffusion model's likelihood."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from genbench.core import Noise
from genbench.diffusion.clipping import Clip
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.schedules import NoiseSchedule


class DiffusionLikelihood(ABC):
    """How probable images are to a denoiser without guidance, whatever the sampler; `kind` names the figure.

    `clip` is what it wants done to denoised images.
    """

    kind: ClassVar[str]
    clip: ClassVar[Clip]

    @abstractmethod
    def fit(self, schedule: NoiseSchedule) -> None:
        """Refuses a schedule that it is not defined on.

        Raises:
            ConfigError: what was wrong and what to type instead.
        """

    @abstractmethod
    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x0: Tensor, levels: int, noise: Noise) -> Tensor:
        """Bits per dimension float64 [B] of images [B,C,H,W] whose values are 2k/(levels - 1) - 1."""
