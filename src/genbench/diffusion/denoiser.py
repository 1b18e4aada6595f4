"""The border between networks and samplers: whatever is predicted becomes an image here."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from genbench.diffusion.clipping import CLIPPINGS, Clip
from genbench.diffusion.objectives import Objective
from genbench.diffusion.schedules import NoiseSchedule


class Denoiser(Protocol):
    """E[x0 | x_t]: all that a sampler knows of a model."""

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The expected image [B,C,H,W] behind x_t; t float64, one for the batch (on the CPU) or one an image [B]."""
        ...


@runtime_checkable
class HasVariance(Protocol):
    """A denoiser that has learned the variance of its steps as well."""

    def with_variance(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The expected image and the place of the log variance between its bounds, -1 to 1 (`interpolated`)."""
        ...


Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(scaled x_t [B,C,H,W], t as above, noise level as t) -> the network's output, guided."""


class NetworkDenoiser:
    """A network's predictions as denoised images, clipped."""

    def __init__(self, schedule: NoiseSchedule, objective: Objective, predict: Predict, clip: Clip) -> None:
        self.schedule, self.objective, self.predict, self.clip = schedule, objective, predict, CLIPPINGS[clip]

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        return self.evaluate(x, t)[0]

    def evaluate(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The denoised image, and the rest of the network's output."""
        level = self.schedule.level(t)
        alpha, sigma = self.schedule.scales(level)
        skip, gain = self.objective.skip_gain(alpha, sigma)
        output = self.predict(broadcast(self.objective.input_scale(alpha, sigma), x) * x, t, level)
        prediction, rest = output[:, : x.shape[1]], output[:, x.shape[1] :]
        return self.clip(broadcast(skip, x) * x + broadcast(gain, x) * prediction), rest


class VarianceDenoiser(NetworkDenoiser):
    """As above, for a network whose second output is a variance."""

    def with_variance(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.evaluate(x, t)


def broadcast(a: Tensor, x: Tensor) -> Tensor:
    """A coefficient of the batch, or one an image, in the precision of the images it multiplies."""
    # one number stays on the CPU in float64: it multiplies images anywhere, without waiting for the device
    return a if a.ndim == 0 else a.to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
