"""The contract of a diffusion sampler."""

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import Tensor

from genbench.core import ConfigError, Count, Noise
from genbench.diffusion.clipping import Clip
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.guidance import Guidance
from genbench.diffusion.samplers.grid import Grid, Point, path
from genbench.diffusion.schedules import NoiseSchedule


@dataclass(eq=False)
class DiffusionSampler(ABC):
    """Walks from t = 1 to t = 0; `order` is the power of the step by which its error falls, where it is known.

    What is done to the network's predictions is the same for every sampler, and done before it sees them:
    `guidance` 1 is the conditional model, 0 the unconditional one, other values cost two evaluations (see `Guidance`
    for `guidance_rescale` and `guidance_interval`), and `clip` keeps denoised images in range. With `guidance_run` the
    worse prediction is not the unconditional one but that of another run (Karras et al. 2024).
    """

    order: ClassVar[int | None]

    _: KW_ONLY
    guidance: float = 1.0
    guidance_rescale: float = 0.0
    guidance_interval: tuple[float, float] | None = None
    guidance_run: str | None = None
    clip: Clip = "static"

    def __post_init__(self) -> None:
        interval = self.guidance_interval
        self.guide = Guidance(
            self.guidance, self.guidance_rescale, None if interval is None else (interval[0], interval[1])
        )
        if self.guidance_run is not None and self.guidance == 1.0:
            raise ConfigError("sampler.guidance_run guides nothing at sampler.guidance=1: set sampler.guidance=2, say")
        if self.guidance == 1.0 and (self.guidance_rescale > 0.0 or interval is not None):
            raise ConfigError(
                "sampler.guidance_rescale and guidance_interval change nothing at sampler.guidance=1: leave them out, "
                "or set sampler.guidance=2, say"
            )
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Refuses settings that no schedule allows.

        Raises:
            ConfigError: what was wrong and what to type instead.
        """

    @abstractmethod
    def fit(self, schedule: NoiseSchedule) -> None:
        """Refuses a schedule that this sampler cannot walk.

        Raises:
            ConfigError: what was wrong and what to type instead.
        """

    @abstractmethod
    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        """Images [B,C,H,W] for the start `x`, normal with the schedule's `prior_std`."""


@dataclass(eq=False)
class FixedSteps(DiffusionSampler):
    """A sampler that is told how many steps to make, and on which grid."""

    steps: Count = 50
    _: KW_ONLY
    grid: Grid = "uniform"

    def check(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"sampler.steps is {self.steps}; expected at least 1")
        self.check_knobs()

    def check_knobs(self) -> None:
        """Refuses settings of its own."""

    def fit(self, schedule: NoiseSchedule) -> None:
        self.path(schedule)

    def path(self, schedule: NoiseSchedule) -> list[Point]:
        """The points it visits, the clean image's included."""
        return path(schedule, self.steps, self.grid)
