"""Rectified flow."""

from torch import Tensor

from genbench.diffusion.schedules.base import RectifiedPath


class Flow(RectifiedPath):
    """alpha = 1 - t, sigma = t (Liu et al. 2023; Lipman et al. 2023 with sigma_min = 0)."""

    def __init__(self, shift: float = 1.0) -> None:
        super().__init__(None, shift)

    def unshifted_level(self, t: Tensor) -> Tensor:
        return t / (1.0 - t)

    def unshifted_time(self, level: Tensor) -> Tensor:
        return (1.0 + level.reciprocal()).reciprocal()
