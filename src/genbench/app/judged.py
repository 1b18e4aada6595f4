"""A training that is judged as soon as it is finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import DictConfig

from genbench.app.build import load_model, open_data
from genbench.app.device import training_device
from genbench.app.judging import judge_run, kept_draws, make_judge
from genbench.app.show import show
from genbench.evaluation.ranks import rank
from genbench.run import Run
from genbench.training.jsonl import JsonlLogger, read_log

JUDGED = "judged"
"""The event in a training's record that says under which protocol it was."""


def judge_when_finished(config: DictConfig) -> Callable[[Run], Mapping[str, Any]]:
    """Judges a finished run under its own protocol, shows the result, and gives its final numbers.

    Raises:
        GenbenchError: a protocol that cannot judge this data, found before anything is trained.
    """
    dataset, plain = open_data(config)
    device = training_device(plain)
    judge = make_judge(dataset, plain, device=device)

    def finished(run: Run) -> Mapping[str, Any]:
        with kept_draws(run) as draws:
            model = load_model(run, weights=judge.protocol.weights).to(device)
            result = judge_run(run, model, dataset, judge, draws)
        if rank() == 0:
            show(result)
        return final_numbers(result)

    return finished


def note_judged(run: Run, numbers: Mapping[str, Any]) -> None:
    """Records that a run was judged and its final numbers, if there are any, told."""
    if numbers:
        entry = {"event": JUDGED, "images": run.summary["images"], "protocol": numbers["final/protocol"]}
        JsonlLogger(run.log).append(entry)


def judged_under(run: Run) -> str | None:
    """The hash of the protocol that a run was judged under when its training ended."""
    found = [record["protocol"] for record in read_log(run.log) if record.get("event") == JUDGED]
    return found[-1] if found else None


def final_numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result's scores and protocol as loggers' summaries have them, `final/fd` and so on.

    None but the first process has any: the others do not know the likelihood.
    """
    if rank() != 0:
        return {}
    scores = ("bits_per_dim", *result["repeats"][0])
    numbers = {f"final/{key}": result[key] for key in scores if key != "seed"}
    return numbers | {"final/protocol": result["protocol"]}
