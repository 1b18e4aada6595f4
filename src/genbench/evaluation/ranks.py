"""Several processes that judge together: who am I, how many are we, and has everyone come through."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
import torch.distributed as dist

from genbench.core import ConfigError, RunError
from genbench.core.errors import first_line
from genbench.core.waiting import PATIENCE

T = TypeVar("T")

_MESSAGE_BYTES = 1024


def rank() -> int:
    """Which of the processes this is, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world() -> int:
    """How many processes work together; 1 where none were started."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@contextmanager
def distributed() -> Iterator[None]:
    """Joins the processes that torchrun started, and leaves them when all is done; changes nothing in a process alone.

    Only short messages pass between processes, images and features meet in files: gloo serves every kind of device.

    Raises:
        ConfigError: torchrun's environment is incomplete, or the processes do not find each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    try:
        dist.init_process_group("gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']}, but the processes do not meet ({first_line(error)}): start them "
            "with torchrun --nproc_per_node=2 -m genbench ..., or unset WORLD_SIZE"
        ) from error
    try:
        yield
    except SystemExit:  # of all of them together
        dist.destroy_process_group()
        raise
    # not after an error: that waits for what others have asked of a GPU, who wait for this process to be gone
    dist.destroy_process_group()


def barrier() -> None:
    """Waits until every process is here.

    Raises:
        RunError: one did not come in time, or is gone; says which where it is known.
    """
    with together("wait"):
        pass


@contextmanager
def together(task: str) -> Iterator[None]:
    """A block in which every process does its share; it is left when all have, or by an error on all of them.

    Raises:
        RunError: another process failed, with its rank and message, or did not come in time.
    """
    if world() == 1:
        yield
        return
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    messages = _exchange("" if failure is None else first_line(failure), task)
    if failure is not None:
        raise failure
    failed = [f"rank {number} failed to {task}: {message}" for number, message in enumerate(messages) if message]
    if failed:
        raise RunError("; ".join(failed))


def from_first(task: str, make: Callable[[], T]) -> T:
    """What the first process makes, in all of them: the others wait, and leave it the cores.

    Raises:
        RunError: the first process failed, with its message, or another is gone.
    """
    if world() == 1:
        return make()
    made: list[T | None] = [None]
    with together(task):
        if rank() == 0:
            made = [make()]
    dist.broadcast_object_list(made)
    return cast(T, made[0])


def from_all(task: str, mine: str) -> list[str]:
    """What each process has to say, by rank: at most 1024 bytes.

    Raises:
        RunError: another process is gone.
    """
    return [mine] if world() == 1 else _exchange(mine, task)


def _exchange(message: str, task: str) -> list[str]:
    """What each rank has to say, by rank."""
    mine = torch.zeros(_MESSAGE_BYTES, dtype=torch.uint8)
    content = message.encode()[:_MESSAGE_BYTES]
    mine[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else 0
    everyone = [torch.empty_like(mine) for _ in range(world())]
    try:
        # names the ranks that are missing, which a plain collective does not
        dist.monitored_barrier(timeout=PATIENCE, wait_all_ranks=True)
        dist.all_gather(everyone, mine)
    except RuntimeError as error:
        # a connection that breaks at once does not say whose it was
        missing = re.search(r"Ranks? ([\d, ]+) failed", str(error))
        other = f"rank {1 - rank()}" if world() == 2 else "another rank"
        who = f"rank {missing[1].strip()}" if missing else other
        raise RunError(
            f"rank {rank()} of {world()} could not {task}: {who} is gone, or took longer than "
            f"{PATIENCE.total_seconds():.0f} s; look at its output and start again, what is stored is kept"
        ) from error
    return [bytes(each.numpy()).rstrip(b"\0").decode(errors="replace") for each in everyone]
