"""Weights & Biases as one logger among others; training never depends on it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pytorch_lightning.loggers.logger import Logger

from genbench.core.errors import first_line
from genbench.core.files import write_atomically

log = logging.getLogger(__name__)


class WandbLogger(Logger):
    """One W&B run per training, its x axis the images seen.

    The run's id is kept in the run folder, so that resuming continues it. If W&B cannot be reached, or fails
    later, training says so once and goes on; the JSON-lines record is complete either way. `timeout` is how many
    seconds it may take to start and to send what is left at the end; `wandb sync` sends what was left out.
    """

    def __init__(
        self,
        project: str = "genbench",
        mode: Literal["offline", "online"] = "offline",
        entity: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        super().__init__()
        self.project, self.mode, self.entity, self.timeout = project, mode, entity, timeout
        self._run: Any = None

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return "" if self._run is None else str(self._run.id)

    def open(self, folder: Path, config: Mapping[str, Any], name: str, group: str | None, tags: Sequence[str]) -> None:
        """Starts the run of a run folder, or continues it when the folder has had one."""
        import wandb  # here because it costs half a second

        kept = folder / "wandb_id"
        identity = (kept.read_text().strip() if kept.is_file() else "") or uuid.uuid4().hex[:8]
        try:
            write_atomically(kept, identity.encode())  # first: killed while W&B starts, the next start has the same run
            self._run = wandb.init(
                project=self.project,
                entity=self.entity,
                mode=self.mode,
                dir=str(folder),
                id=identity,
                resume="allow" if self.mode == "online" else None,
                name=name,
                group=group,
                tags=list(tags),
                config=dict(config),
                settings=wandb.Settings(
                    init_timeout=self.timeout,
                    finish_timeout=self.timeout,
                    # else a run that is still open would be handed out again, and two trainings end in one
                    reinit="finish_previous",
                    silent=True,
                    console="off",
                ),
            )
            self._run.define_metric("images")
            self._run.define_metric("*", step_metric="images")
        except Exception as error:  # whatever W&B raises: a lost logger must not cost a training
            self._give_up(error)

    def log_hyperparams(self, params: object, *args: object, **kwargs: object) -> None:
        """The config is given when the run starts."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._guard(lambda run: run.log({**metrics, "images": step}))

    def log_image(
        self, key: str, images: list[Any], step: int | None = None, caption: Sequence[str] | None = None
    ) -> None:
        """Logs pictures (PIL images), with captions if given, at an image count."""
        import wandb

        told: Sequence[str | None] = caption or [None] * len(images)
        pictures = zip(images, told, strict=True)
        self._guard(lambda run: run.log({key: [wandb.Image(i, caption=c) for i, c in pictures], "images": step}))

    def summarise(self, numbers: Mapping[str, Any]) -> None:
        """Sets final numbers in the run's summary."""
        self._guard(lambda run: run.summary.update(dict(numbers)))

    def close(self) -> None:
        """Ends the W&B run; the next training of this process starts its own."""
        self._guard(lambda run: run.finish())
        self._run = None

    def _guard(self, action: Callable[[Any], object]) -> None:
        """Does something with the W&B run, while there is one."""
        if self._run is not None:
            try:
                action(self._run)
            except Exception as error:  # as in `open`
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        log.warning(
            "W&B is not available (%s): training goes on without it; log.jsonl in the run folder has everything",
            first_line(error),
        )
        run, self._run = self._run, None
        if run is not None:
            with suppress(Exception):  # a second failure would say nothing new
                run.finish()
