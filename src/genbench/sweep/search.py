"""What a study is about, and what becomes of its trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genbench.sweep.space import Space, Value, written

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Search:
    """The overrides of every training, what is searched, and for which score; the first `startup` trials are random."""

    fixed: tuple[str, ...]
    space: Space
    objective: str
    direction: Direction
    seed: int = 0
    startup: int = 10

    @property
    def identity(self) -> dict[str, Any]:
        """What two searches must share for their trials to belong to one study, as JSON values."""
        given = (override.partition("=") for override in self.fixed)
        return {
            "searched": {key: str(parameter) for key, parameter in self.space.items()},
            "given": {key: value for key, _, value in given},
            **{key: getattr(self, key) for key in ("objective", "direction", "seed", "startup")},
        }

    @property
    def hash(self) -> str:
        """Eight hex digits of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:8]

    def overrides(self, values: Mapping[str, Value]) -> list[str]:
        """What a training with these values is given."""
        return [*self.fixed, *(f"{key}={written(value)}" for key, value in values.items())]


@dataclass(frozen=True)
class Trial:
    """A trial's number and values; `home` is the first trial of the same values, which alone is trained."""

    number: int
    values: Mapping[str, Value]
    home: int


@dataclass(frozen=True)
class Outcome:
    """What became of a trial: its score, that it was stopped as hopeless, why it failed, or was stopped unfinished."""

    state: Literal["complete", "pruned", "failed", "stopped"]
    value: float | None = None
    reason: str | None = None
