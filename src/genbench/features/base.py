"""The contract of a feature extractor: uint8 images in, one vector and one set of logits each out."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from genbench.core import DataError, ImageSpec


class FeatureExtractor(nn.Module, ABC):
    """A frozen network that turns images into what metrics compare.

    `name` and `fingerprint` (sha256 of the weights file, hex) say which; `preprocessing` says what happens
    to the bytes before the network, `precision` which floats it computes in. `classifies` is true where the
    logits are the data's own classes, so that accuracy means something. The name `inception` is kept for the network
    of published FID: distances over any other are called after it.
    """

    def __init__(
        self,
        name: str,
        fingerprint: str,
        preprocessing: str,
        classifies: bool,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.name, self.fingerprint, self.preprocessing = name, fingerprint, preprocessing
        self.classifies, self.precision = classifies, precision

    @abstractmethod
    def check(self, spec: ImageSpec) -> None:
        """Refuses data this extractor cannot judge.

        Raises:
            ConfigError: wrong shape or classes.
        """

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """`features` float32 [B,D] and `logits` float32 [B,K], K = 0 without classes, of uint8 images [B,C,H,W].

        Raises:
            DataError: anything but bytes of that shape.
        """

    @torch.no_grad()
    def width(self, spec: ImageSpec) -> int:
        """How many features an image has, found by looking at a blank one."""
        device = next(self.parameters()).device
        return int(self(torch.zeros(1, *spec.shape, dtype=torch.uint8, device=device))["features"].shape[1])

    def identity(self) -> dict[str, str]:
        """The facts that make two extractors the same."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "preprocessing": self.preprocessing,
            "precision": self.precision,
        }

    def freeze(self) -> None:
        """Evaluation mode, no gradients: an extractor is never trained."""
        self.eval().requires_grad_(False)

    def require_bytes(self, image: Tensor) -> None:
        """Refuses what is no batch of uint8 images [B,C,H,W], grey or RGB.

        Raises:
            DataError: naming what came instead.
        """
        if image.dtype != torch.uint8 or image.ndim != 4 or image.shape[1] not in (1, 3):
            raise DataError(
                f"features={self.name} judges uint8 images [B,C,H,W] of 0 to 255 with C = 1 or 3, these are "
                f"{str(image.dtype).removeprefix('torch.')} {list(image.shape)}: turn them into bytes first "
                "(genbench.core.pixels.to_uint8 does, from floats in [-1,1])"
            )
