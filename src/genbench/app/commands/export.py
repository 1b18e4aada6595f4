"""`genbench export`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genbench.app.build import load_model, resolve
from genbench.app.pipelines import write_pipeline
from genbench.app.validate import validate_config
from genbench.core import ConfigError
from genbench.run import Run


def run(config: DictConfig) -> None:
    """Writes a run's model in another library's format; a folder that is there is not overwritten."""
    plain = resolve(config)
    validate_config(plain, "export")
    out = Path(plain["out"]).expanduser()
    if out.exists():
        raise ConfigError(f"{out} is there already: name another folder with out=..., or remove it")
    call = write_pipeline(load_model(Run.open(plain["run"]), plain["sampler"], plain["weights"]), out)
    print(f"{out}: the same images from the same noise by\n{call}")
