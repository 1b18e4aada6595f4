"""One of several processes: extracts, fails or dies as told, and writes what it saw."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from small_sources import Counted, Projection, bits

from genbench.core import RunError
from genbench.data.digits import Digits
from genbench.evaluation import ranks
from genbench.evaluation.extraction import extract
from genbench.evaluation.ranks import barrier, distributed, from_first, rank, world
from genbench.evaluation.sources import TableSource
from genbench.evaluation.store import ChunkStore


class Dies(BaseException):
    """Stands for a process that is killed: nobody catches it, and nothing is tidied up."""


def seen(source: Counted, folder: Path, n: int = 1100) -> dict[str, object]:
    """What one extraction gave, as digests."""
    table = extract(source, Projection(), n, store=ChunkStore(folder, {"of": source.name}), keep_images=True)
    columns = (table.features, table.logits, table.label, table.image)
    return {
        "sha256": [hashlib.sha256(bits(column)).hexdigest() for column in columns],
        "drawn": sorted(set(getattr(source, "drawn", []))),
        "cost": None if source.cost is None else [source.cost.images, source.cost.seconds, source.cost.evaluations],
    }


def run(scenario: str, folder: Path) -> object:
    if scenario == "agrees":
        return {
            "model": seen(Counted(), folder / "model"),
            "split": seen(TableSource(Digits().table("train"), "digits train"), folder / "split"),
            "world": world(),
            "first": from_first("count", lambda: {"rank": rank()}),
        }
    if scenario == "apart":
        # as on machines that share no folder
        return seen(Counted(), folder / f"apart{rank()}")
    if scenario == "hangs" and rank() == 1:
        time.sleep(12.0)
    error = ValueError("out of luck") if scenario == "fails" else Dies()
    # image 260 is in the second chunk, that of rank 1
    return seen(Counted(260, error) if scenario in ("fails", "dies") else Counted(), folder / scenario)


def work(folder: Path, scenarios: Sequence[str], environment: Mapping[str, str]) -> None:
    """Runs the scenarios as the rank that the environment says."""
    os.environ.update(environment)
    ranks.PATIENCE = timedelta(seconds=5 if "hangs" in scenarios else 60)
    with distributed():
        number, found = rank(), {}
        for scenario in scenarios:
            try:
                found[scenario] = run(scenario, folder)
                barrier()
            except Dies:
                os._exit(9)
            except (RunError, ValueError) as error:
                found[scenario] = f"{type(error).__name__}: {error}"
    (folder / f"rank{number}.json").write_text(json.dumps(found))
