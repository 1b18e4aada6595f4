"""Trainings that are killed at a chosen moment, in processes forked from one that has everything imported."""

import functools
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

import torch
from omegaconf import DictConfig

from genbench import run
from genbench.app.compose import compose
from genbench.app.training import open_experiment, train
from genbench.core import files
from genbench.run import Run
from genbench.training import checkpoint, jsonl
from genbench.training.recorder import Recorder

WRITERS = {str(module.__file__) for module in (checkpoint, files, jsonl, run)}
"""The source files whose lines are counted: all that write what a training leaves."""
DEADLINE = 200.0


class Moment(NamedTuple):
    """When a training dies, counted from its first step: after seconds, by another process's SIGKILL; before the
    `at`-th line of the code that writes files; or, from `images` on, at byte `at` of any file."""

    unit: Literal["second", "line", "byte"]
    at: float
    images: int = 0


NEVER = Moment("line", float("inf"))


class Attempt(NamedTuple):
    """What became of one training: the exit status of its process, how long and how many lines it wrote by."""

    status: int
    started: bool
    finished: bool
    seconds: float
    lines: int
    said: str


def prepare(scratch: Path) -> None:
    """Makes this process one that trainings can be forked from."""
    torch.set_num_threads(1)
    sys.argv = ["genbench"]
    tempfile.tempdir = str(scratch)


@functools.cache
def composed(overrides: tuple[str, ...]) -> DictConfig:
    config = compose("train", overrides)
    open_experiment(config.copy())  # imports what this training needs
    return config


def attempt(overrides: tuple[str, ...], folder: Path, moment: Moment) -> Attempt:
    """Trains in a process of its own, which dies at a moment unless it finishes before."""
    config = composed((*overrides, f"run_dir={folder}"))
    output = folder.with_name("output")
    forks = multiprocessing.get_context("fork")
    ours, theirs = forks.Pipe()
    process = forks.Process(target=_train, args=(config, moment, theirs, output))
    process.start()
    theirs.close()
    started = ours.poll(DEADLINE) and _received(ours) == "started"
    begin = time.monotonic()
    if moment.unit == "second":
        process.join(moment.at)
        process.kill()
    process.join(DEADLINE)
    if process.is_alive():
        process.kill()
        raise TimeoutError(output.read_text())
    lines = _received(ours) if process.exitcode == 0 else 0
    status, seconds = int(process.exitcode or 0), time.monotonic() - begin
    return Attempt(status, started, Run(folder).finished, seconds, lines or 0, output.read_text())


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return None


def _train(config: DictConfig, moment: Moment, parent: Connection, output: Path) -> None:
    with output.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    lines, start, record = _Lines(moment.at), Recorder.on_train_start, Recorder.on_train_batch_end

    def begin(self: Recorder, trainer: Any, module: Any) -> None:
        start(self, trainer, module)
        parent.send("started")
        if moment.unit == "line":
            sys.settrace(lines)

    def step(self: Recorder, trainer: Any, module: Any, *others: Any) -> None:
        if moment.unit == "byte" and module.images_seen >= moment.images:
            # the kernel kills whoever writes beyond it, with that much written
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(moment.at), int(moment.at)))
        record(self, trainer, module, *others)

    Recorder.on_train_start, Recorder.on_train_batch_end = begin, step  # type: ignore[method-assign]
    train(config)
    sys.settrace(None)
    parent.send(lines.passed)


class _Lines:
    """A trace that counts lines of the writers and kills the process before one of them."""

    def __init__(self, last: float) -> None:
        self.passed, self.last = 0, last

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        return self.line if frame.f_code.co_filename in WRITERS else None

    def line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self.passed += 1
            if self.passed >= self.last:
                sys.stderr.write(f"died before line {frame.f_lineno} of {frame.f_code.co_filename}\n")
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        return self.line
