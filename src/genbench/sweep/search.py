"""What a study is about, and what becomes of its trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genbench.sweep.space import Space, Value, written

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Search:
    """The overrides of every training, what is searched, and for which score; the first `startup` trials are random.

    `config` is what decides the first training's score, as JSON values.
    """

    fixed: tuple[str, ...]
    space: Space
    objective: str
    direction: Direction
    seed: int = 0
    startup: int = 10
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """What two searches must share for their trials to belong to one study, as JSON values."""
        return {
            "searched": {key: str(parameter) for key, parameter in self.space.items()},
            "config": dict(self.config),
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
    """A trial's number and values.

    Of trials with the same values one is trained: `lead`, which is the last that was retried so far, or the first,
    `home`, whose folder it has.
    """

    number: int
    values: Mapping[str, Value]
    home: int
    lead: int


@dataclass(frozen=True)
class Outcome:
    """What became of a trial: its score, that it was stopped as hopeless, why it failed, or was stopped unfinished."""

    state: Literal["complete", "pruned", "failed", "stopped"]
    value: float | None = None
    reason: str | None = None
