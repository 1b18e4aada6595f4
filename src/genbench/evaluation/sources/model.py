"""The samples of a model, and what they cost."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genbench.core import Condition, GenerativeModel, SeededNoise
from genbench.core.pixels import to_uint8
from genbench.evaluation.sources.base import ImageSource, SamplingCost


class ModelSource(ImageSource):
    """Images a model makes on its own device; conditional ones are asked for all `classes` (None: all) in turn.

    Network evaluations are counted where they happen, per image: guidance that runs a batch twice counts twice.
    """

    def __init__(self, model: GenerativeModel, name: str, classes: Sequence[int] | None = None) -> None:
        super().__init__(name, None, SamplingCost())
        self.model = model
        self.classes = torch.tensor(range(model.spec.num_classes) if classes is None else classes)

    @torch.no_grad()
    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        spec, device = self.model.spec, next(self.model.parameters()).device
        label = self.classes[torch.tensor(indices) % len(self.classes)] if self.model.conditional else None
        was_training = self.model.training
        counter = self.model.network.register_forward_hook(self._count)
        self.model.eval()
        start = time.perf_counter()
        try:
            image = self.model.sample(SeededNoise(seed, indices, device), Condition(label).to(device))
            # moving to the CPU waits for the device, so the clock sees all of the work
            image = to_uint8(image, spec.levels).cpu()
        finally:
            counter.remove()
            self.model.train(was_training)
        assert self.cost is not None
        self.cost.seconds += time.perf_counter() - start
        self.cost.images += len(image)
        return image, label

    def _count(self, network: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        assert self.cost is not None
        self.cost.evaluations += len(output)
