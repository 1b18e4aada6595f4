"""What launchers may be told, checked before a job starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from pydantic import Field

from genbench.app.validate import Section, validate
from genbench.core import ConfigError, Count

Natural = Annotated[int, Field(ge=0)]
Part = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass
class ProcessSettings(Section):
    """`hydra/launcher=process`."""

    at_once: Count


@dataclass
class SlurmSettings(Section):
    """`hydra/launcher=slurm`, without what is for sbatch to judge."""

    max_num_timeout: Natural
    nodes: Count | None = None
    ntasks_per_node: Count | None = None
    cpus_per_task: Count | None = None
    signal_delay_s: Natural | None = None
    array_parallelism: Count | None = None
    setup: list[str] | None = None
    additional_parameters: dict[str, Any] | None = None


@dataclass
class RaySettings(Section):
    """`hydra/launcher=ray`."""

    address: str
    num_cpus: Part
    num_gpus: Part
    max_retries: Annotated[int, Field(ge=-1)]


def check_sbatch(settings: Mapping[str, Any]) -> None:
    """Checks what of SLURM's settings is not for sbatch to judge.

    Raises:
        ConfigError: a value of another type or range.
    """
    ours = {field.name for field in fields(SlurmSettings)}
    check_settings({key: value for key, value in settings.items() if key in ours}, SlurmSettings)


def check_settings(settings: Mapping[str, Any], schema: type[Section]) -> None:
    """Checks a launcher's settings.

    Raises:
        ConfigError: a value of another type or range, or a setting that there is not.
    """
    try:
        validate(settings, schema)
    except ConfigError as error:
        raise ConfigError(f"hydra.launcher: {error}") from None
