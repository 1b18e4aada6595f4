"""The contract of a diffusion backbone."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from genbench.core import Conditioning


class Backbone(nn.Module, ABC):
    """A network that looks at noisy images; it knows no loss, no schedule and no sampler.

    `embedding` is the width E of the vector that conditions it, `context` the width W of the tokens that it attends
    to, None for networks that attend to none. `outputs` images come out for each that goes in: one, or two where the
    variance is learned too.
    """

    def __init__(self, embedding: int, outputs: int, context: int | None = None) -> None:
        super().__init__()
        self.embedding, self.outputs, self.context = embedding, outputs, context

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        """Parts that may be run again for their gradients; between them they make most of the activations."""
        return ()

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
        """Noisy images [B,C,H,W], times [B] in [0,1], what they show -> [B, outputs C, H, W]."""
