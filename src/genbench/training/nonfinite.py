"""Moves that are not made, because a loss or gradient was not finite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from genbench.core import TrainingError
from genbench.training.sharding import local

NonFinite = Literal["stop", "skip"]
"""What becomes of a loss or gradient that is not finite: the end of training, or a move that is not made."""

IN_A_ROW = 10
"""So many skipped moves of the same name, one after the other, are no accident."""

REMEDY = "try a lower optimizer.lr, a longer lr_scheduler.warmup, training.clip=1 or trainer.precision=32-true"


class Skips:
    """Decides by the norm of averaged gradients, which all devices share, and counts.

    Asking costs a synchronisation a move on a GPU, as a loss scaler's question does.
    """

    def __init__(self, moves: Iterable[str]) -> None:
        self.total = 0
        self.in_a_row = dict.fromkeys(moves, 0)

    @staticmethod
    def show(loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """Lets a loss that is not finite show in the gradients, where it does not yet: all devices see those."""
        for parameter in parameters:
            # what of a sharded gradient is here, if anything
            if parameter.grad is not None and (gradient := local(parameter.grad)).numel():
                gradient.masked_fill_(~loss.isfinite(), math.nan)
                return

    @staticmethod
    def refuses(norm: Tensor, parameters: Sequence[nn.Parameter]) -> bool:
        """Takes gradients of this norm away if it is not finite: an optimiser leaves alone what has none."""
        if bool(norm.isfinite()):
            return False
        for parameter in parameters:
            parameter.grad = None
        return True

    def count(self, move: str, skipped: bool, images: int) -> None:
        """Counts a move that was made or skipped after so many images.

        Raises:
            TrainingError: it is the last of too many in a row.
        """
        self.total += skipped
        self.in_a_row[move] = self.in_a_row[move] + 1 if skipped else 0
        if self.in_a_row[move] == IN_A_ROW:
            raise TrainingError(
                f"the {move}'s loss or gradient was not finite {IN_A_ROW} times in a row, the last at {images} images "
                f"seen; training stopped; an earlier checkpoint, if any, is kept: {REMEDY}"
            )

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total, "in_a_row": dict(self.in_a_row)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.total, self.in_a_row = state["total"], dict(state["in_a_row"])
