"""The samples of a model, and what they cost."""

import time
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genbench.core import Condition, ConfigError, DataError, GenerativeModel, SeededNoise
from genbench.core.pixels import to_uint8
from genbench.evaluation.sources.base import ImageSource, SamplingCost


class ModelSource(ImageSource):
    """Images a model makes on its own device; conditional ones are asked for all `classes` (None: all) in turn.

    A model that reads captions is asked for all `prompts` in turn; others ignore them.

    Network evaluations are counted where they happen, per image: guidance that runs a batch twice counts twice.
    `rounding` says how floats become bytes: to the nearest level, or truncated as ADM and torchmetrics do.

    Raises:
        ConfigError: truncation for data with fewer than 256 levels, where it has no published meaning, or a model
            that reads captions without any prompt.
    """

    def __init__(
        self,
        model: GenerativeModel,
        name: str,
        classes: Sequence[int] | None = None,
        rounding: Literal["nearest", "truncate"] = "nearest",
        prompts: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, None, SamplingCost())
        if rounding == "truncate" and model.spec.levels != 256:
            raise ConfigError(
                f"protocol.rounding=truncate is defined for 256 grey levels, the data have {model.spec.levels}: "
                "set protocol.rounding=nearest"
            )
        if model.reads_captions and not prompts:
            raise ConfigError(
                f"{name} draws what captions say, and there are none: give prompt='a small red circle' or "
                "prompts=FILE, or judge it on data with captions"
            )
        self.model, self.rounding, self.prompts = model, rounding, prompts or ()
        self.classes = torch.tensor(range(model.spec.num_classes) if classes is None else classes)

    def captions(self, indices: Sequence[int]) -> list[str] | None:
        return [self.prompts[i % len(self.prompts)] for i in indices] if self.model.reads_captions else None

    @torch.no_grad()
    def draw(self, seed: int, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        spec, device = self.model.spec, next(self.model.parameters()).device
        label = self.classes[torch.tensor(indices) % len(self.classes)] if self.model.conditional else None
        condition = Condition(label, self.captions(indices)).to(device)
        was_training = self.model.training
        counters = [network.register_forward_hook(self._count) for network in self.model.networks]
        self.model.eval()
        start = time.perf_counter()
        try:
            image = self.model.sample(SeededNoise(seed, indices, device), condition)
            spoilt = image.isnan().flatten(1).any(1).sum()
            # moving to the CPU waits for the device, so the clock sees all of the work
            image = (to_uint8(image, spec.levels) if self.rounding == "nearest" else truncated(image)).cpu()
        finally:
            for counter in counters:
                counter.remove()
            self.model.train(was_training)
        if spoilt:
            # a byte cannot say NaN: these would be judged as black images
            raise DataError(
                f"{self.name} made NaN in {int(spoilt)} of {len(image)} images: its training has diverged, or its "
                "weights are damaged; train it again with a lower learning rate"
            )
        assert self.cost is not None
        self.cost.seconds += time.perf_counter() - start
        self.cost.images += len(image)
        return image, label

    def _count(self, network: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        assert self.cost is not None
        self.cost.evaluations += len(output)


def truncated(image: Tensor) -> Tensor:
    """Uint8 image floor(127.5 (x + 1)) of a float one in [-1,1], values outside clamped (ADM, torchmetrics)."""
    return ((image.float() + 1.0) * 127.5).clamp(0.0, 255.0).to(torch.uint8)
