"""What an earlier start of the same training has measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genbench.run import Run


def kept_config(config: Mapping[str, Any], folder: Path) -> DictConfig | None:
    """The config in the run folder of the training that `config` describes; None where it was not begun.

    Raises:
        RunError: the folder holds another experiment.
    """
    if not (folder / "config.yaml").is_file():
        return None
    run = Run.open(folder)
    run.require_same(config)
    return run.config
