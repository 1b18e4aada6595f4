"""A model whose operations can be counted by hand."""

from collections.abc import Sequence

from torch import Tensor, nn

from genbench.core import Batch, Condition, GenerativeModel, ImageSpec, Noise, TrainStep
from genbench.core.model import Losses


class Linear(GenerativeModel):
    """One linear map of the pixels."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__(spec, conditional=False)
        self.map = nn.Linear(spec.dims, spec.dims, bias=False)

    @property
    def network(self) -> nn.Module:
        return self.map

    def train_steps(self) -> Sequence[TrainStep]:
        return [TrainStep("model", self, self.loss)]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        pixels = batch.image.flatten(1)
        return {"loss": (self.map(pixels) - pixels).square().mean()}

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        raise AssertionError("never sampled here")
