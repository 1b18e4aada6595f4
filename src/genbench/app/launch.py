"""The processes of a training on several devices: torchrun's, srun's, or started here as torchrun starts them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from genbench.core import ConfigError, TrainingError
from genbench.processes import STOPS


def devices(config: Mapping[str, Any]) -> int:
    """How many devices of this machine a resolved config trains on; 1 where validation will refuse what it asks for.

    Raises:
        ConfigError: more GPUs, or cores, than there are.
    """
    trainer = config["trainer"]
    count = trainer["devices"]
    count = len(count) if isinstance(count, list) else count
    if trainer["accelerator"] == "cpu":
        there, kind, instead = os.cpu_count() or 1, "cores", ""
    elif count == 1:
        return 1
    else:
        import torch

        there, kind = torch.cuda.device_count(), "GPUs"
        instead = "" if there else ", or trainer=cpu, or ddp_cpu to try several"
        count = max(there, 1) if count in (-1, "auto") else count
    # two to try several devices are not too many for one core
    if isinstance(count, int) and count > max(there, 2 if kind == "cores" else 1):
        use = f"trainer.devices={there}" if there else "trainer=auto"
        raise ConfigError(
            f"trainer.devices={trainer['devices']}: this machine has {there or 'no'} {kind}: use {use}{instead}"
        )
    return count if isinstance(count, int) and count > 0 else 1


def asked(trainer: Mapping[str, Any]) -> str:
    """The devices a trainer is to have, as they are typed."""
    nodes = trainer.get("num_nodes", 1)
    return f"trainer.devices={trainer['devices']}" + (f" trainer.num_nodes={nodes}" if nodes > 1 else "")


def is_started() -> bool:
    """Whether this is one of several processes already, as torchrun's variables say."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join_srun() -> None:
    """Gives a task of a step that srun started torchrun's variables, so that everything else knows one convention.

    Raises:
        ConfigError: SLURM does not know the step's nodes.
    """
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks > 1 and "WORLD_SIZE" not in os.environ:
        os.environ |= {
            "WORLD_SIZE": str(tasks),
            "RANK": os.environ["SLURM_PROCID"],
            "LOCAL_RANK": os.environ["SLURM_LOCALID"],
        }
        if "MASTER_ADDR" not in os.environ:
            os.environ["MASTER_ADDR"] = _first_host(os.environ["SLURM_STEP_NODELIST"])
        # jobs that share a node, and steps of a job, must not share a port; one that is requeued may find its own busy
        job, step = int(os.environ["SLURM_JOB_ID"]), int(os.environ.get("SLURM_STEP_ID", "0"))
        os.environ.setdefault("MASTER_PORT", str(15_000 + (31 * job + step) % 20_000))


def _first_host(nodes: str) -> str:
    """The first of a list of nodes as SLURM writes it, such as gpu[3-5,9]."""
    said = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=False)
    if said.returncode:
        raise ConfigError(
            f"SLURM does not know the nodes {nodes} ({said.stderr.strip()}): set MASTER_ADDR to the first"
        )
    return said.stdout.split()[0]


def check_processes(config: Mapping[str, Any]) -> None:
    """That as many processes were started as there are devices to train on.

    Raises:
        ConfigError: they were not.
    """
    nodes, each = config["trainer"].get("num_nodes", 1), devices(config)
    started, needed = int(os.environ.get("WORLD_SIZE", "1")), nodes * each
    if started == needed:
        return
    if nodes > 1:
        fix = (
            f"hydra/launcher=slurm hydra.launcher.nodes={nodes} hydra.launcher.ntasks_per_node={each}, srun or torchrun"
        )
    elif "SLURM_JOB_ID" in os.environ and started > 1:
        fix = f"hydra.launcher.ntasks_per_node={each}"
    else:
        fix = "`genbench train`, which starts them, or trainer.devices=1"
    raise ConfigError(f"{asked(config['trainer'])} needs {needed} processes, and there are {started}: use {fix}")


def check_accelerator(config: Mapping[str, Any]) -> None:
    """That this machine has what a resolved config trains on, and that its numbers are to be had there.

    Raises:
        ConfigError: it has not.
    """
    import torch

    trainer = config["trainer"]
    kind, precision = trainer["accelerator"], trainer.get("precision", "32-true")
    cuda, apple = torch.cuda.is_available(), torch.backends.mps.is_available()
    there = {"gpu": cuda or apple, "cuda": cuda, "mps": apple}
    if not there.get(kind, True):
        what = "GPU of Apple's" if kind == "mps" else "GPU"
        raise ConfigError(f"trainer.accelerator={kind}: this machine has no {what}: use trainer=auto or trainer=cpu")
    if apple and not cuda and kind != "cpu" and config.get("scheduler") is not None:
        raise ConfigError(
            f"trainer.accelerator={kind}: noise schedules compute in float64, which GPUs of Apple's have not: use "
            "trainer=cpu"
        )
    if precision == "16-mixed" and not (cuda and kind in ("auto", "gpu", "cuda")):
        where = f"trainer.accelerator={kind}" if cuda else "this machine"
        raise ConfigError(
            f"trainer.precision=16-mixed is for CUDA's GPUs, and {where} has none: use trainer.precision=bf16-mixed or "
            "32-true"
        )


def check_tasks(config: Mapping[str, Any], launcher: Mapping[str, Any]) -> None:
    """That SLURM's launcher starts a process for each device that a resolved config trains on.

    Raises:
        ConfigError: it does not; told before a job has waited in the queue for it.
    """
    trainer = config["trainer"]
    nodes, each = trainer.get("num_nodes", 1), trainer["devices"]
    each = len(each) if isinstance(each, list) else each
    given, tasks = launcher.get("nodes") or 1, launcher.get("ntasks_per_node") or 1
    # the one task of a job on one node starts the others itself, as on any machine
    if given == nodes and (tasks == each or not isinstance(each, int) or each < 1 or (tasks == nodes == 1)):
        return
    raise ConfigError(
        f"{asked(trainer)} needs hydra.launcher.nodes={nodes} hydra.launcher.ntasks_per_node={each}, which are {given} "
        f"and {tasks}"
    )


def handed_over(config: Mapping[str, Any], command: str) -> bool:
    """Whether this command line is done, by a process for each of this machine's devices that a resolved config takes.

    Otherwise this process is the only one, or one of them.

    Raises:
        GenbenchError: more GPUs than there are, or a process failed; what it said is above.
    """
    processes = devices(config)
    join_srun()
    if is_started() or processes == 1 or config["trainer"].get("num_nodes", 1) > 1:
        return False
    start(processes, [command, *sys.argv[1:]])
    return True


def start(processes: int, arguments: Sequence[str]) -> None:
    """Runs `genbench` with these arguments in so many processes that know of each other; when one fails all end.

    Raises:
        TrainingError: a process failed; what it said is above.
        SystemExit: a signal to stop came, and the processes have saved; the code is 128 and the signal's number.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from genbench.training.preemption import STARTED_BY

    # processes on one machine share its cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    # a preview or a checkpoint of a large model takes longer than torch's half minute
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "600")
    os.environ[STARTED_BY] = str(os.getpid())
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="genbench",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
        signals_to_handle=",".join(each.name for each in (*STOPS, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)),
    )
    # its own account of a failure repeats what the process said, in many lines
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        elastic_launch(config, sys.executable)("-m", "genbench", *arguments)
    except SignalException as signalled:
        raise SystemExit(128 + int(signalled.sigval)) from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            killed = signal.Signals(-failure.exitcode).name
            memory = ", as where memory runs out" if killed == "SIGKILL" else ""
            what, cause = f"was killed by {killed}{memory}", ""
        else:
            what, cause = f"failed with exit code {failure.exitcode}", "its message is above, and "
        raise TrainingError(
            f"rank {rank} of {processes} {what}, and the others were stopped: {cause}once its cause is mended the "
            "same command goes on"
        ) from error
    finally:
        del os.environ[STARTED_BY]
