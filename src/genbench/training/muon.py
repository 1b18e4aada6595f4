"""Muon for the matrices of a network, AdamW for the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer


class Muon(Optimizer):
    """Steps of orthogonal matrices for parameters of two dimensions (Jordan et al. 2024), AdamW's for all others.

    Embeddings, positions and output layers of two dimensions count as matrices, unlike theirs, and convolutions do not.
    Steps are scaled to the size of Adam's (Liu et al. 2025, section 2.2), so one `lr` serves both and is of Adam's
    range. `fused` is AdamW's. Matrices are made orthogonal in bfloat16, so that pieces of a batch that add up in
    another order give the same weights to its rounding, not to float32's; `budget=flops` does not count that.

    Raises:
        ValueError: a rate, momentum, decay or beta that is negative or too large.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        fused: bool | None = None,
    ) -> None:
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum is {momentum}; expected at least 0 and less than 1, such as 0.95")
        params = list(params)
        matrices, others = [p for p in params if p.ndim == 2], [p for p in params if p.ndim != 2]
        self.parts: list[Optimizer] = []
        if matrices:
            self.parts.append(torch.optim.Muon(matrices, lr, weight_decay, momentum, adjust_lr_fn="match_rms_adamw"))
        if others:
            self.parts.append(AdamW(others, lr, (betas[0], betas[1]), weight_decay=weight_decay, fused=fused))
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Lets the parts work on this optimiser's groups and states, the only ones there are."""
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        result = None if closure is None else torch.enable_grad()(closure)()
        for part in self.parts:
            part.step()
        return result
