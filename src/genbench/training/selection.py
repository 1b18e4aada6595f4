"""The best weights so far, by a number that the previews measure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file, save
from torch import Tensor

from genbench.core.files import write_atomically

Criterion = Literal["fd", "kid"]
"""What may be selected by: lower is better."""


class Selection:
    """Keeps the weights of the lowest value of `metric` in `path`, replaced as a whole; of equals, the first.

    `record` is what a report must tell: metric, images seen and value of the kept weights, and how many
    checkpoints were tried; None before the first. The file's header holds the same without the last.
    """

    def __init__(self, path: Path, metric: Criterion) -> None:
        self.path, self.metric = path, metric
        self.record: dict[str, Any] | None = None

    def offer(self, images: int, value: float, weights: Callable[[], Mapping[str, Tensor]]) -> None:
        """Compares the checkpoint at an image count with the best so far.

        Raises:
            RunError: the file cannot be written; the old one is kept.
        """
        tried = self.record["tried"] if self.record else 0
        best = self.record["value"] if self.record else math.inf
        if value < best:  # never true of a NaN
            found = {"metric": self.metric, "images": images, "value": value}
            self._write(weights(), found)
            self.record = {**found, "tried": tried}
        if self.record:
            self.record["tried"] = tried + 1

    def weights(self) -> dict[str, Tensor]:
        """The kept weights, on the CPU."""
        return load_file(self.path)

    def clear(self) -> None:
        """Forgets what an earlier attempt kept."""
        self.record = None
        self.path.unlink(missing_ok=True)

    # the checkpoint carries the weights too: those kept after it was written belong to a superseded attempt

    def state_dict(self) -> dict[str, Any]:
        return {"record": self.record, "weights": self.weights() if self.record else {}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.clear()
        if state["record"]:
            self._write(state["weights"], {k: v for k, v in state["record"].items() if k != "tried"})
            self.record = dict(state["record"])

    def _write(self, weights: Mapping[str, Tensor], found: Mapping[str, Any]) -> None:
        tensors = {name: value.contiguous() for name, value in weights.items()}
        write_atomically(self.path, save(tensors, metadata={"selected": json.dumps(found)}))
