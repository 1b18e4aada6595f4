"""Sources of digits-like images, cheap to draw and easy to count, and an extractor as small."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genbench.core import ImageSpec
from genbench.evaluation.sources import ImageSource, NoiseSource, SamplingCost
from genbench.features import FeatureExtractor

SPEC = ImageSpec(1, 8, 8, num_classes=10, levels=17)


class Counted(ImageSource):
    """Noise that remembers what was drawn: two evaluations and a quarter of a second an image.

    It raises `error`, if one is given, when image `fails_at` is asked for.
    """

    def __init__(self, fails_at: int | None = None, error: BaseException | None = None) -> None:
        super().__init__("counted", None, SamplingCost())
        self.drawn: list[int] = []
        self.fails_at, self.error = fails_at, error

    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        if self.fails_at in indices and self.error is not None:
            raise self.error
        self.drawn += indices
        assert self.cost is not None
        self.cost += SamplingCost(len(indices), 0.25 * len(indices), 2 * len(indices))
        return NoiseSource(SPEC).draw(seed, indices)


class Projection(FeatureExtractor):
    """16 features and 10 logits by fixed random projections of 8x8 grey images; counts the images it saw."""

    def __init__(self, name: str = "projection") -> None:
        super().__init__(name, "0" * 64, "bytes / 255", classifies=True)
        weight = torch.randn(26, 64, generator=torch.Generator().manual_seed(0)) / 8.0
        self.weight, self.seen = nn.Parameter(weight), 0
        self.freeze()

    def check(self, spec: ImageSpec) -> None:
        assert spec.shape == SPEC.shape

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.seen += len(image)
        out = (image.flatten(1).float() / 255.0) @ self.weight.T
        return {"features": out[:, :16].tanh(), "logits": out[:, 16:]}


def bits(tensor: Tensor | None) -> bytes:
    """The bytes of a tensor, for comparisons that forgive nothing."""
    return b"" if tensor is None else tensor.contiguous().view(torch.uint8).numpy().tobytes()
