"""Guidance: a prediction pushed away from a worse one."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genbench.core import Conditioning, ConfigError

Evaluation = Callable[[Tensor, Tensor], Tensor]
"""(scaled x_t [B,C,H,W], t [B]) -> a network's output under its condition."""


@dataclass(frozen=True)
class Guidance:
    """How far, and at which noise levels sigma/alpha, predictions are pushed; `scale` is 1 + w of Ho & Salimans.

    `rescale` is phi of Lin et al. 2024, section 3.4: the share by which the deviation of the output is brought back
    to the conditional one's. Outside of `interval` the prediction is the conditional one, at the cost of one
    evaluation (Kynkaanniemi et al. 2024, eq. 5).
    """

    scale: float = 1.0
    rescale: float = 0.0
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.rescale <= 1.0:
            raise ConfigError(f"sampler.guidance_rescale is {self.rescale}; expected 0 (none) to 1")
        if self.interval is not None and not 0.0 <= self.interval[0] < self.interval[1]:
            raise ConfigError(
                f"sampler.guidance_interval is {list(self.interval)}; expected two rising noise levels, such as "
                "[0.2,5], or null"
            )

    def __call__(
        self, network: nn.Module, x: Tensor, t: Tensor, conditional: Conditioning, null: Conditioning, level: Tensor
    ) -> Tensor:
        """The guided output of a network at noise `level`; 1 is conditional, 0 unconditional, at one evaluation."""
        scale = self.scale_at(level)
        if not isinstance(scale, Tensor) and scale in (0.0, 1.0):
            return network(x, t, conditional if scale == 1.0 else null)  # type: ignore[no-any-return]
        both = network(torch.cat([x, x]), torch.cat([t, t]), conditional.then(null))
        good, bad = both.chunk(2)
        return self._away(good, bad, x.shape[1], scale)

    def by_another(self, good: Evaluation, bad: Evaluation, x: Tensor, t: Tensor, level: Tensor) -> Tensor:
        """The output of one network, guided by that of a worse one (autoguidance, Karras et al. 2024, eq. 3)."""
        scale = self.scale_at(level)
        if not isinstance(scale, Tensor) and scale == 1.0:
            return good(x, t)
        return self._away(good(x, t), bad(x, t), x.shape[1], scale)

    def _away(self, good: Tensor, bad: Tensor, images: int, scale: float | Tensor) -> Tensor:
        # what is learned beside the image, a variance, stays the better one's
        return torch.cat([self.push(good[:, :images], bad[:, :images], scale), good[:, images:]], dim=1)

    def scale_at(self, level: Tensor) -> float | Tensor:
        """The scale at one level for the batch, or at each image's own [B]."""
        if self.interval is None:
            return self.scale
        low, high = self.interval
        if level.ndim == 0:
            return self.scale if low <= float(level) <= high else 1.0
        inside = (level >= low) & (level <= high)
        return torch.where(inside, self.scale, 1.0)

    def push(self, good: Tensor, bad: Tensor, scale: float | Tensor) -> Tensor:
        """bad + scale (good - bad) (Ho & Salimans 2022, eq. 6; Karras et al. 2024, eq. 3), rescaled."""
        factor = scale.to(good.dtype)[:, None, None, None] if isinstance(scale, Tensor) else scale
        pushed = torch.lerp(bad, good, factor)
        if self.rescale == 0.0:
            return pushed
        ratio = _std(good) / _std(pushed).clamp(min=1e-8)
        return pushed * torch.lerp(torch.ones_like(ratio), ratio, self.rescale)


def _std(x: Tensor) -> Tensor:
    """The deviation of each image's values, [B,1,1,1]."""
    return x.std(dim=tuple(range(1, x.ndim)), keepdim=True)
