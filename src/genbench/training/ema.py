"""Exponential moving average of weights, with a half-life in images and a warm-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from genbench.core import ConfigError
from genbench.training.sharding import gathered, local, spread


class EMA:
    """Averages the named parameters of a model (Karras et al. 2022, training_loop: half-life with ramp-up).

    The half-life grows with `rampup` times the images seen until it reaches `half_life`, so that a short
    training is not averaged with its own start. Buffers are not averaged: a saved model takes the live ones.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], half_life: float, rampup: float) -> None:
        if half_life < 0.0 or not 0.0 < rampup <= 1.0:
            raise ConfigError(
                f"training.ema_half_life={half_life:g}, ema_rampup={rampup:g}; expected images >= 0 (0: no average) "
                "and a fraction in (0,1]"
            )
        self.half_life, self.rampup = half_life, rampup
        self.parameters = dict(parameters)
        self.shadow = {name: p.detach().clone() for name, p in self.parameters.items()}

    def decay(self, images_seen: int, batch: int) -> float:
        """Weight of the old average for a batch that ends at `images_seen`."""
        half_life = min(self.half_life, self.rampup * images_seen)
        return 0.5 ** (batch / half_life) if half_life > 0.0 else 0.0

    @torch.no_grad()
    def update(self, images_seen: int, batch: int) -> None:
        """Moves the average towards the live weights."""
        live = [local(p.detach()) for p in self.parameters.values()]
        averages = [local(average) for average in self.shadow.values()]
        torch._foreach_lerp_(averages, live, 1.0 - self.decay(images_seen, batch))

    def to(self, device: torch.device) -> None:
        """Moves the average."""
        self.shadow = {name: value.to(device) for name, value in self.shadow.items()}

    def state_dict(self) -> dict[str, Tensor]:
        whole: dict[str, Tensor] = gathered(self.shadow)
        return whole

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, value in spread({name: state[name] for name in self.shadow}, self.shadow).items():
            self.shadow[name].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with averaged weights, for as long as the context lasts."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        # by value: sharded parameters are gathered from the memory that they were given
        for name, parameter in self.parameters.items():
            live, average = local(parameter), local(self.shadow[name])
            kept = live.clone()
            live.copy_(average)
            average.copy_(kept)
