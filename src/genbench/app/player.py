"""What a page asks of a trained run: pictures for a prompt or a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from genbench.app.build import load_model, resolve
from genbench.app.sampling import draw
from genbench.app.verdicts import checker_of
from genbench.core import GenerativeModel
from genbench.run import Run, Weights
from genbench.shapes import Checker, Verdict

SETTINGS: Mapping[str, Callable[[float], float]] = {"guidance": float, "steps": int}
"""Settings of samplers that a page shows, where the run's sampler has them."""

MOST = 64
"""Pictures at once."""


@dataclass(frozen=True)
class Picture:
    """A picture uint8 [C,H,W], what it was asked to show, and whether it does, where that can be judged."""

    image: Tensor
    asked: str
    verdict: Verdict | None


@dataclass
class Player:
    """A trained run, drawn from as often as one likes."""

    run: Run
    weights: Weights
    device: torch.device
    _loaded: Callable[..., GenerativeModel] = field(init=False)
    _lock: Lock = field(init=False)

    def __post_init__(self) -> None:
        # guidance and steps belong to the model's sampler, which checks them when it is built
        self._loaded = lru_cache(maxsize=1)(self._load)
        self._lock = Lock()

    @cached_property
    def config(self) -> dict[str, Any]:
        """The run's own config."""
        return resolve(self.run.config)

    @property
    def settings(self) -> dict[str, float]:
        """The settings of the run's sampler that can be chosen."""
        sampler = self.config["model"].get("sampler") or {}
        return {name: sampler[name] for name in SETTINGS if sampler.get(name) is not None}

    @property
    def model(self) -> GenerativeModel:
        """The model as it was trained.

        Raises:
            GenbenchError: a run that is not finished, or cannot be loaded.
        """
        return self._loaded()

    def draw(self, prompt: str, label: int | None, settings: Mapping[str, float], n: int, seed: int) -> list[Picture]:
        """Pictures of a prompt, or of a class (None: all in turn); as `genbench sample` draws them.

        Raises:
            ConfigError: settings that the model's sampler cannot use.
        """
        with self._lock:  # one page after another
            model = self._loaded(**{key: SETTINGS[key](value) for key, value in settings.items()})
            prompts = [prompt] if model.reads_captions else None
            drawn = draw(model, n, seed, None if label is None else [label], prompts=prompts)
        if drawn.caption is not None:
            return [Picture(image, prompt, self._verdict(image, prompt)) for image in drawn.image]
        names = [""] * n if drawn.label is None else [str(int(label)) for label in drawn.label]
        return [Picture(image, name, None) for image, name in zip(drawn.image, names, strict=True)]

    def _load(self, **settings: float) -> GenerativeModel:
        sampler = {**self.config["model"]["sampler"], **settings} if settings else None
        return load_model(self.run, sampler, self.weights).to(self.device)

    @cached_property
    def _checker(self) -> Checker | None:
        return checker_of(self.config)

    def _verdict(self, image: Tensor, prompt: str) -> Verdict | None:
        return None if self._checker is None else self._checker(image, prompt)
