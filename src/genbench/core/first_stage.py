"""The frozen half of a two-stage model: images to latents and back (Rombach et al. 2022)."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from genbench.core.batch import Batch, Condition
from genbench.core.errors import ConfigError
from genbench.core.spec import ImageSpec


class FirstStage(ABC):
    """Trained elsewhere and no module of the second stage, whose weights, optimisers and averages never see it.

    `latent` is the shape of its latents and `scale` brings those of the training set to unit deviation (Rombach et al.
    2022, appendix G); both, with `sha256` of its weights, are found when a training starts, and kept in its config.

    Raises:
        ConfigError: other latents or weights than those of the training.
    """

    def __init__(
        self, found: ImageSpec, found_sha256: str, latent: ImageSpec | None, scale: float | None, sha256: str | None
    ) -> None:
        if latent not in (None, found) or sha256 not in (None, found_sha256):
            raise ConfigError(
                f"the first stage is not the one that was trained with (latents {latent} then, {found} now; weights "
                f"{str(sha256)[:8]} then, {found_sha256[:8]} now): put that one back"
            )
        self.latent, self.sha256, self.scale = found, found_sha256, 1.0 if scale is None else scale
        self.table: Tensor | None = None

    @abstractmethod
    def to_latent(self, image: Tensor, condition: Condition) -> Tensor:
        """Images float [B,C,H,W] in [-1,1] to their mean latents [B,c,h,w]."""

    @abstractmethod
    def from_latent(self, latent: Tensor, condition: Condition) -> Tensor:
        """The images that latents [B,c,h,w] stand for, nominally in [-1,1]."""

    def remember(self, table: Tensor) -> None:
        """Takes the latents [N,c,h,w] of the training images, so that none is encoded twice."""
        self.table = table

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The batch's latents in units of their deviation: those remembered, or else its images'."""
        if self.table is None:
            return self.to_latent(batch.image, batch.condition) * self.scale
        rows = self.table.index_select(0, batch.index.to(self.table.device))
        return rows.to(batch.image.device) * self.scale

    @torch.no_grad()
    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """The images of latents in units of their deviation."""
        return self.from_latent(latent / self.scale, condition)
