"""The processes of a training on several devices, started on this machine as torchrun starts them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from genbench.core import ConfigError, TrainingError


def devices(config: Mapping[str, Any]) -> int:
    """How many devices of this machine a resolved config trains on; 1 where validation will refuse what it asks for.

    Raises:
        ConfigError: more GPUs than there are.
    """
    trainer = config["trainer"]
    asked = trainer["devices"]
    count = len(asked) if isinstance(asked, list) else asked
    if trainer["accelerator"] == "cpu" or count == 1:
        return count if isinstance(count, int) and count > 0 else 1
    import torch

    there = torch.cuda.device_count()
    if count in (-1, "auto"):
        count = max(there, 1)
    if isinstance(count, int) and count > max(there, 1):
        raise ConfigError(
            f"trainer.devices={asked}: this machine has {there} GPUs: use trainer.devices={max(there, 1)}"
            f"{'' if there else ', or trainer=ddp_cpu to try it out'}"
        )
    return count if isinstance(count, int) and count > 0 else 1


def is_started() -> bool:
    """Whether this is one of several processes already."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def check_processes(config: Mapping[str, Any]) -> None:
    """That as many processes were started as there are devices to train on.

    Raises:
        ConfigError: they were not.
    """
    started, needed = int(os.environ.get("WORLD_SIZE", "1")), devices(config)
    if started != needed:
        raise ConfigError(
            f"trainer.devices={config['trainer']['devices']} needs {needed} processes, and there are {started}: use "
            "`genbench train`, which starts them, or trainer.devices=1"
        )


def start(processes: int, arguments: Sequence[str]) -> None:
    """Runs `genbench` with these arguments in so many processes that know of each other; when one fails all end.

    Raises:
        TrainingError: a process failed; what it said is above.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # processes on one machine share its cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="genbench",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
    )
    # its own account of a failure repeats what the process said, in many lines
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        elastic_launch(config, sys.executable)("-m", "genbench", *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise TrainingError(
            f"rank {rank} of {processes} failed with exit code {failure.exitcode}, and the others were stopped: its "
            "message is above, and once its cause is mended the same command goes on"
        ) from error
