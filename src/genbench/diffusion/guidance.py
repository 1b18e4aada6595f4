"""Classifier-free guidance."""

import torch
from torch import Tensor, nn


def guided(network: nn.Module, x: Tensor, t: Tensor, conditional: Tensor, null: Tensor, scale: float) -> Tensor:
    """Network output pushed from the unconditional towards the conditional (Ho & Salimans 2022, eq. 6).

    `scale` is 1 + w of the paper: 1 conditional, 0 unconditional, each at the cost of one evaluation.
    """
    if scale == 1.0:
        return network(x, t, conditional)  # type: ignore[no-any-return]
    if scale == 0.0:
        return network(x, t, null)  # type: ignore[no-any-return]
    both = network(torch.cat([x, x]), torch.cat([t, t]), torch.cat([conditional, null]))
    with_label, without = both.chunk(2)
    return without + scale * (with_label - without)  # type: ignore[no-any-return]
