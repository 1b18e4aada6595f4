"""`genbench sweep`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from genbench.app.build import resolve
from genbench.app.paths import own_flags
from genbench.app.searching import make_search
from genbench.app.validate import validate_config
from genbench.core import ConfigError, RunError
from genbench.core.errors import first_line
from genbench.core.files import write_atomically
from genbench.sweep.space import read
from genbench.sweep.wandb import sweep_file


def run(config: DictConfig) -> None:
    """Writes a search as a W&B sweep file; with logger.mode=online creates the sweep and starts an agent.

    Raises:
        ConfigError: a search that could not run, or a file of that name with another one.
        RunError: the server cannot be reached; the file is written.
    """
    plain = resolve(config)
    validate_config(plain, "sweep")
    settings, logger = plain["sweep"], plain["logger"]
    if logger is None:
        raise ConfigError("W&B's sweeps read their scores from W&B: leave logger=none out")
    given = [each for each in HydraConfig.get().overrides.task if each.partition(".")[0] != "sweep"]
    kept = [each for each in given if not each.startswith("logger.mode=")]
    overrides = OverridesParser.create().parse_overrides([*kept, *settings["searched"]])
    search = make_search(*read(overrides), settings["objective"], settings["direction"], "sweep")
    named = {"name": settings["name"], "project": logger["project"], "entity": logger["entity"]}
    file, out = sweep_file(search, settings["method"], named, own_flags(sys.argv)), Path(settings["out"])
    _write(out, file)
    if logger["mode"] != "online":
        print(
            f"{out} is written; running it needs a W&B server: logger.mode=online, or `wandb sweep {out}` and its agent"
        )
        return
    _start(out, file, settings["runs"])


def _write(out: Path, file: dict[str, Any]) -> None:
    content = OmegaConf.to_yaml(OmegaConf.create(file)).encode()
    if out.is_file() and out.read_bytes() != content:
        raise ConfigError(f"{out} holds another sweep: choose another sweep.out")
    write_atomically(out, content)


def _start(out: Path, file: dict[str, Any], runs: int | None) -> None:
    import wandb

    try:
        identity = wandb.sweep(file, entity=file.get("entity"), project=file["project"])
    except Exception as error:  # whatever W&B raises
        raise RunError(
            f"{out} is written, but W&B did not take it ({first_line(error)}): `wandb sweep {out}`"
        ) from error
    wandb.agent(identity, entity=file.get("entity"), project=file["project"], count=runs)
