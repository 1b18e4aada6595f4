"""Data whose denoiser and probability-flow ODE are known exactly: mixtures of normals on the line."""

from collections.abc import Sequence

import torch
from torch import Tensor

from genbench.core import Noise
from genbench.diffusion.schedules import EDM, Cosine, Flow, Linear, NoiseSchedule, Sigmoid

SCHEDULES: dict[str, NoiseSchedule] = {
    "linear": Linear(),
    "cosine": Cosine(),
    "continuous cosine": Cosine(steps=None),
    "shifted cosine": Cosine(shift=2.0),
    "sigmoid": Sigmoid(),
    "edm": EDM(),
    "flow": Flow(),
    "shifted flow": Flow(shift=3.0),
}
ONE = torch.ones((), dtype=torch.float64)


class Normals:
    """A mixture of normals, with equal weights."""

    def __init__(self, means: Sequence[float], stds: Sequence[float]) -> None:
        self.means, self.stds = (torch.tensor(v, dtype=torch.float64) for v in (means, stds))

    def denoiser(self, schedule: NoiseSchedule):
        """E[x0 | x_t]."""

        def denoise(x: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = (a if a.ndim == 0 else a[:, None, None, None] for a in schedule.alpha_sigma(t))
            y, (mean, var) = x[..., None].double(), (alpha[..., None] * self.means, self._variance(alpha, sigma))
            share = torch.softmax(-0.5 * (y - mean).square() / var - 0.5 * var.log(), dim=-1)
            image = self.means + alpha[..., None] * self.stds.square() / var * (y - mean)
            return (share * image).sum(-1).to(x.dtype)

        return denoise

    def flow(self, schedule: NoiseSchedule, x: Tensor, level: Tensor) -> Tensor:
        """Where the ODE takes x from t = 1 to a noise level: on the line it keeps every quantile."""
        start, end = schedule.alpha_sigma(ONE), schedule.scales(level)
        target, low, high = self.cdf(x, *start), torch.full_like(x, -200.0), torch.full_like(x, 200.0)
        for _ in range(120):
            middle = (low + high) / 2
            below = self.cdf(middle, *end) < target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return low

    def cdf(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        y = (x[..., None] - alpha[..., None] * self.means) / self._variance(alpha, sigma).sqrt()
        return torch.special.ndtr(y).mean(-1)

    def _variance(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return (alpha[..., None] * self.stds).square() + sigma[..., None].square()


NORMAL = Normals([0.3], [0.5])
TWO = Normals([-0.6, 0.5], [0.3, 0.2])


class Scripted(Noise):
    """Float64 normals from one generator, so that two samplers can be given the same numbers."""

    def __init__(self, batch: int, seed: int = 0) -> None:
        self.batch, self.generator = batch, torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.batch

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.batch, *shape, dtype=torch.float64, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.batch, *shape, dtype=torch.float64, generator=self.generator)


class Mute(Scripted):
    """Refuses to draw."""

    def normal(self, *shape: int) -> Tensor:
        raise AssertionError("this sampler is deterministic")


def starts(schedule: NoiseSchedule, n: int = 9, far: float = 1.5) -> Tensor:
    """Points at t = 1, [n,1,1,1]."""
    return schedule.prior_std * torch.linspace(-far, far, n, dtype=torch.float64).reshape(n, 1, 1, 1)
