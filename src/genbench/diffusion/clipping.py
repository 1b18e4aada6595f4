"""Keeping denoised images in range, the same for every sampler."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Clip = Literal["static", "dynamic", "none"]


def static(x0: Tensor) -> Tensor:
    """Cut to [-1,1] (Ho et al. 2020)."""
    return x0.clamp(-1.0, 1.0)


def dynamic(x0: Tensor) -> Tensor:
    """Cut to an image's own 99.5th percentile of magnitudes, then scaled into [-1,1] (Saharia et al. 2022, 2.3)."""
    limit = torch.quantile(x0.flatten(1).abs().float(), 0.995, dim=1).clamp(min=1.0).to(x0.dtype)
    limit = limit.reshape(-1, *[1] * (x0.ndim - 1))
    return torch.clamp(x0, -limit, limit) / limit


CLIPPINGS: dict[Clip, Callable[[Tensor], Tensor]] = {"static": static, "dynamic": dynamic, "none": lambda x0: x0}
