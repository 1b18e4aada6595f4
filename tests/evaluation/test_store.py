"""Chunks survive each other: keys, seals, and writers at the same time."""

import json
import multiprocessing
import warnings
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_sources import Counted, Projection, bits

from genbench.evaluation.extraction import extract
from genbench.evaluation.sources import SamplingCost
from genbench.evaluation.store import Chunk, ChunkStore

KIND = {"extractor": {"name": "e"}}
TENSORS = {"features": torch.randn(3, 4), "label": torch.arange(3), "logits": torch.zeros(3, 0)}


def test_a_chunk_comes_back_as_it_was(tmp_path: Path) -> None:
    store = ChunkStore(tmp_path, {"weights": "w", "sampler": {"steps": 4}})
    assert store.get(KIND, 0, [5, 1, 2]) is None
    store.put(KIND, 0, [5, 1, 2], Chunk(TENSORS, SamplingCost(3, 0.125, 12)))
    found = ChunkStore(tmp_path, {"sampler": {"steps": 4}, "weights": "w"}).get(KIND, 0, [5, 1, 2])
    assert found is not None
    assert found.cost == SamplingCost(3, 0.125, 12)
    assert {name: bits(tensor) for name, tensor in found.tensors.items()} == {n: bits(t) for n, t in TENSORS.items()}


@pytest.mark.parametrize(
    ("content", "kind", "seed", "indices"),
    [
        ({"weights": "v"}, KIND, 0, [5, 1, 2]),
        ({"weights": "w"}, {"extractor": {"name": "f"}}, 0, [5, 1, 2]),
        ({"weights": "w"}, KIND, 1, [5, 1, 2]),
        ({"weights": "w"}, KIND, 0, [5, 2, 1]),
        ({"weights": "w"}, KIND, 0, [5, 1]),
    ],
)
def test_every_part_of_the_key_counts(tmp_path: Path, content, kind, seed: int, indices: list[int]) -> None:  # type: ignore[no-untyped-def]
    ChunkStore(tmp_path, {"weights": "w"}).put(KIND, 0, [5, 1, 2], Chunk(TENSORS))
    assert ChunkStore(tmp_path, content).get(kind, seed, indices) is None


@pytest.mark.parametrize("part", ["features", "cost", "key", "sha256"])
def test_whatever_is_changed_breaks_the_seal(tmp_path: Path, part: str) -> None:
    store = ChunkStore(tmp_path)
    store.put(KIND, 0, [0, 1, 2], Chunk(TENSORS, SamplingCost(3, 1.0, 3)))
    (path,) = tmp_path.rglob("*.safetensors")
    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    if part == "features":
        tensors["features"][1, 1] += 1e-3
    else:
        header |= {part: json.dumps({"images": 3, "seconds": 0.5, "evaluations": 3})}
    save_file(tensors, path, header)
    with pytest.warns(UserWarning, match="it is made again"):
        assert store.get(KIND, 0, [0, 1, 2]) is None


def write(folder: Path, starting: object) -> None:
    """One of several writers; a warning of a chunk that cannot be used makes it fail."""
    warnings.simplefilter("error")
    starting.wait()  # type: ignore[attr-defined]
    for _ in range(5):
        extract(Counted(), Projection(), 1000, store=ChunkStore(folder), keep_images=True)
        for path in sorted(folder.rglob("*.safetensors"))[::2]:
            path.unlink(missing_ok=True)


def test_writers_at_the_same_time_leave_whole_chunks(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["genbench.evaluation.extraction", "genbench.data.digits"])
    starting = context.Barrier(3)
    writers = [context.Process(target=write, args=(tmp_path, starting)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    source = Counted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = extract(source, Projection(), 1000, store=ChunkStore(tmp_path))
    assert bits(table.features) == bits(extract(Counted(), Projection(), 1000).features)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".safetensors"]
