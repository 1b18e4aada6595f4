"""The cells of a benchmark, and their overrides as Hydra reads them."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from genbench.app.compose import compose
from genbench.benchmark.matrix import Cell, cells, written
from genbench.benchmark.tables import flatten
from genbench.core import ConfigError


def overrides(cell: Cell) -> dict[str, str]:
    return dict(line.split("=", 1) for line in cell.overrides)


def test_every_model_gets_every_seed_and_a_folder_of_its_own() -> None:
    found = cells({"a": {}, "b": {}}, [3, 1], {}, {}, Path("out"))
    assert [(c.model, c.seed, str(c.folder)) for c in found] == [
        ("a", 3, "out/a-s3"),
        ("a", 1, "out/a-s1"),
        ("b", 3, "out/b-s3"),
        ("b", 1, "out/b-s1"),
    ]
    assert found[1].overrides == ('name="a"', "seed=1")


def test_the_later_of_before_own_and_after_counts() -> None:
    before = {"data": "x", "training": {"clip": 1.0, "workers": 0}, "group": "g"}
    own = {"training": {"clip": 2.0}, "optimizer.lr": 0.1}
    after = {"training": {"workers": 4}, "optimizer": {"lr": 0.5}}
    (cell,) = cells({"m": own}, [1], before, after, Path("out"))
    assert overrides(cell) == {
        "data": '"x"',
        "group": '"g"',
        "training.clip": "2.0",
        "training.workers": "4",
        "optimizer.lr": "0.5",
        "name": '"m"',
        "seed": "1",
    }


def test_a_choice_for_all_replaces_what_was_said_inside_its_group() -> None:
    own = {"model": "vae", "budget": {"images": 80_000, "batch_size": 32}}
    (cell,) = cells({"m": own}, [1], {"model.conditional": False}, {"budget": "tiny"}, Path("out"))
    assert overrides(cell).keys() == {"model", "model.conditional", "budget", "name", "seed"}
    config = compose("train", cell.overrides)
    assert (config.budget.images, config.budget.batch_size) == (1024, 64)
    assert config.model.conditional is False


@pytest.mark.parametrize(("models", "seeds"), [({}, [1]), ({"a": {}}, [])])
def test_a_benchmark_of_nothing_is_refused(models: dict, seeds: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"benchmark\.models and one in benchmark\.seeds"):
        cells(models, seeds, {}, {}, Path("out"))


def test_a_seed_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"benchmark\.seeds=\[1, 2, 1\] names a seed twice"):
        cells({"a": {}}, [1, 2, 1], {}, {}, Path("out"))


@pytest.mark.parametrize("name", ["vae-S/2", "/", ".x", "a\nb", "a\0", "${seed}", "", " ", "é" * 111])
def test_a_name_that_is_no_folders_is_refused(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"benchmark\.models: '.*' names folders: use 1 to 220 bytes without /"
    ) as told:
        cells({"a": {}, name: {}}, [1], {}, {}, Path("out"))
    assert "\n" not in str(told.value)


def test_a_name_may_be_a_number() -> None:
    (cell,) = cells({64: {}}, [1], {}, {}, Path("out"))
    assert (cell.folder, cell.overrides[0]) == (Path("out/64-s1"), 'name="64"')


def test_flatten() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": [1]}, "e": None, "f": {}}) == {"a.b.c": 1, "a.d": [1], "e": None}


TEXTS = [
    "plain",
    "a b",
    "",
    " ",
    "null",
    "true",
    "1",
    "-3",
    "1e3",
    "007",
    "inf",
    "é ü 数",
    "a,b",
    "a=b",
    "a:b",
    "x/y.z",
]
TEXTS += [
    "it's",
    'say "x"',
    '"',
    "back\\slash",
    "end\\",
    '\\"',
    "a\\\\",
    "[x]",
    "{a: 1}",
    "(a)",
    "$x",
    "%",
    "*",
    "~",
    "#",
]
VALUES = [*TEXTS, None, True, 0, -3, 1.5, 1e-5, 1e300, float("inf"), [], [1, 2.5], TEXTS, [None, [True]]]


def test_hydra_reads_back_what_is_written() -> None:
    config = compose("train", [f"+x.v{i}={written(value)}" for i, value in enumerate(VALUES)])
    read = OmegaConf.to_container(config)["x"]
    for i, value in enumerate(VALUES):
        assert read[f"v{i}"] == value
        assert type(read[f"v{i}"]) is type(value)


def test_a_choice_may_be_written_as_a_string() -> None:
    assert compose("train", [f"model={written('vae')}"]).name == "vae"
