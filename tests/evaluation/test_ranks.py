"""Several real processes judge as one."""

import json
import multiprocessing
import socket
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from rank_worker import seen, work
from small_sources import Counted

from genbench.core import ConfigError
from genbench.data.digits import Digits
from genbench.evaluation.ranks import barrier, distributed, rank, together, world
from genbench.evaluation.sources import TableSource

pytestmark = pytest.mark.slow

CHUNKS = [range(start, min(start + 250, 1100)) for start in range(0, 1100, 250)]


def processes(folder: Path, size: int, scenarios: Sequence[str]) -> tuple[list[int | None], dict[int, Any]]:
    """The exit codes of `size` processes, and what those that came to their end saw."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # torch takes long to import: a server does it once, and every process is a copy of it
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["genbench.evaluation.extraction", "genbench.data.digits"])
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    workers = [
        context.Process(target=work, args=(folder, scenarios, shared | {"RANK": str(i), "LOCAL_RANK": str(i)}))
        for i in range(size)
    ]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join(120)
        codes = [worker.exitcode for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    found = {number: folder / f"rank{number}.json" for number in range(size)}
    return codes, {number: json.loads(path.read_text()) for number, path in found.items() if path.is_file()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("alone")
    return {
        "model": seen(Counted(), folder / "model"),
        "split": seen(TableSource(Digits().table("train"), "digits train"), folder / "split"),
    }


def test_a_process_alone_is_rank_0_of_1() -> None:
    with distributed(), together("nothing"):
        barrier()
        assert (rank(), world()) == (0, 1)


@pytest.mark.parametrize("size", [2, 3])
def test_every_process_has_the_table_of_one_and_draws_only_its_share(
    tmp_path: Path, alone: dict[str, Any], size: int
) -> None:
    codes, found = processes(tmp_path / "out", size, ["agrees", "fails"])
    assert codes == [0] * size
    drawn: list[int] = []
    for number in range(size):
        together_ = found[number]["agrees"]
        assert together_["world"] == size
        # all have what the first made, not what they would have
        assert together_["first"] == {"rank": 0}
        assert together_["model"]["sha256"] == alone["model"]["sha256"]
        assert together_["split"]["sha256"] == alone["split"]["sha256"]
        share = [i for at, chunk in enumerate(CHUNKS) if at % size == number for i in chunk]
        assert together_["model"]["drawn"] == share
        # each reports the cost of all images, whoever drew them
        assert together_["model"]["cost"] == alone["model"]["cost"] == [1100, 275.0, 2200]
        drawn += share
    assert sorted(drawn) == list(range(1100))
    for number in range(size):
        said = (
            "ValueError: out of luck" if number == 1 else "RunError: rank 1 failed to extract the features of counted"
        )
        assert found[number]["fails"].startswith(said)
        assert "out of luck" in found[number]["fails"]


def test_a_process_that_is_killed_stops_the_others(tmp_path: Path, alone: dict[str, Any]) -> None:
    codes, found = processes(tmp_path / "out", 2, ["dies"])
    assert codes == [0, 9]
    assert "rank 0 of 2 could not extract the features of counted: rank 1 is gone, or took longer" in found[0]["dies"]
    # what both had made by then is kept: one process alone makes the rest, chunks 1 and 3
    rest = seen(Counted(), tmp_path / "out" / "dies")
    assert rest["drawn"] == [*CHUNKS[1], *CHUNKS[3]]
    assert (rest["sha256"], rest["cost"]) == (alone["model"]["sha256"], alone["model"]["cost"])


def test_nobody_waits_forever_for_a_process_that_hangs(tmp_path: Path) -> None:
    codes, found = processes(tmp_path / "out", 3, ["hangs"])
    assert codes == [0, 0, 0]
    assert "could not extract the features of counted: rank 1 is gone, or took longer than 5 s" in found[0]["hangs"]
    assert found[2]["hangs"].startswith("RunError: rank 2 of 3 could not extract")


def test_processes_that_share_no_folder_are_told(tmp_path: Path) -> None:
    codes, found = processes(tmp_path / "out", 2, ["apart"])
    assert codes == [0, 0]
    for number in range(2):
        assert f"apart{number}: give all processes one shared folder" in found[number]["apart"]


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize(("end", "left"), [(None, 1), (SystemExit, 1), (RuntimeError, 0), (Interrupted, 0)])
def test_a_process_that_fails_leaves_without_waiting_for_the_others(
    end: type[BaseException] | None, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    calls: list[None] = []
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: calls.append(None))
    with pytest.raises(end) if end else nullcontext(), distributed():
        if end:
            raise end
    assert len(calls) == left


def test_half_an_environment_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"WORLD_SIZE=2, but .* torchrun --nproc_per_node=2"), distributed():
        pass
