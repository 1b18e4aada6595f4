"""The contract of a diffusion backbone."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """A network that looks at noisy images; it knows no loss, no schedule and no sampler.

    `embedding` is the width E of the vector that conditions it. `outputs` images come out for each that goes in:
    one, or two where the variance is learned too.
    """

    def __init__(self, embedding: int, outputs: int) -> None:
        super().__init__()
        self.embedding, self.outputs = embedding, outputs

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, embedding: Tensor) -> Tensor:
        """Noisy images [B,C,H,W], times [B] in [0,1], embeddings [B,E] -> [B, outputs C, H, W]."""
