"""What the report knows of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from genbench.benchmark.rows import Row

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer[Any]]
Sheet = tuple[Images, Labels | None]
"""Images with the labels they have, if any."""


@dataclass(frozen=True)
class Told:
    """What a sample was asked to show, whether it does (None where nobody can say), and why."""

    prompt: str
    ok: bool | None = None
    verdict: str = ""


@dataclass(frozen=True)
class ModelPage:
    """A row with what can be shown of it.

    `samples` are uint8 [N,H,W,C] (N may be 0), `labels` int [N] or None, `curve` the records of its run's log:
    training ones with `images`, `seconds` and losses, probes with `images` and `fd`. `neighbours` is a PNG of
    samples beside their nearest training images, where the row's judgement drew one. `told` are the prompts of samples
    that had any, in their order.
    """

    row: Row
    samples: Images
    labels: Labels | None = None
    curve: Sequence[Mapping[str, Any]] = field(default_factory=list)
    neighbours: bytes | None = None
    told: Sequence[Told] = ()
