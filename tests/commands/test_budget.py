"""A budget in floating-point operations: counted right, the same every time, and settled into images."""

from pathlib import Path
from typing import Any

import pytest
from tiny_benchmarks import Benchmark, rows_of
from tiny_runs import FAMILIES, TINY, digest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from genbench.app.budget import _Everything, flops_per_image
from genbench.app.build import resolve
from genbench.app.compose import compose
from genbench.app.fitting import fit, trainer_of, training_data, training_model, training_module
from genbench.app.training import open_experiment, train
from genbench.core import ConfigError
from genbench.data.digits import Digits
from genbench.run import Run

FLOPS = (*(option for option in TINY if not option.startswith("budget")), "budget=flops")


def test_operations_of_a_linear_map_are_those_counted_by_hand() -> None:
    spec = {"_target_": "genbench.core.ImageSpec", "channels": 1, "height": 8, "width": 8, "levels": 17}
    config = {"model": {"_target_": "linear_model.Linear", "spec": spec}}
    # 64 x 64 multiply-adds forward, and as many for the weights' gradient; pixels need none
    assert flops_per_image(config, Digits()) == 2 * 2 * 64 * 64


@pytest.mark.parametrize("model", FAMILIES)
def test_images_follow_from_operations_alone(model: str) -> None:
    def images(*overrides: str) -> int:
        _, plain = open_experiment(compose("train", [f"model={model}", *FLOPS, *overrides]))
        return int(plain["budget"]["images"])

    once = images("budget.flops=1e12")
    assert once == images("budget.flops=1e12", "seed=3")
    assert once % 64 == 0
    assert abs(images("budget.flops=2e12") - 2 * once) <= 64
    # other batches round to other counts of the same cost
    assert abs(images("budget.flops=1e12", "budget.batch_size=32") - once) < 64


@pytest.mark.parametrize("model", FAMILIES)
def test_operations_are_those_that_training_makes(model: str, tmp_path: Path) -> None:
    dataset, plain = open_experiment(compose("train", [f"model={model}", *TINY, "budget.images=64", "trainer=cpu"]))
    module = training_module(training_model(plain, dataset), plain)
    counter: Any = FlopCounterMode(display=False)
    counter.mod_tracker = _Everything()
    with sdpa_kernel(SDPBackend.MATH), counter:
        fit(trainer_of(plain, tmp_path, []), module, training_data(dataset, plain), seed=0)
    assert counter.get_total_flops() == 64 * flops_per_image(plain, dataset)


def test_operations_of_a_transformer_are_those_of_the_formula() -> None:
    """Six a weight and token, and twelve a block, pair of tokens and channel (Kaplan et al. 2020, table 1)."""
    dataset, plain = open_experiment(compose("train", ["model=pixel_gpt", "budget=tiny"]))
    width, layers, tokens, levels = plain["model"]["width"], plain["model"]["layers"], 64, 17
    weights = layers * 12 * width**2 + levels * width
    assert flops_per_image(plain, dataset) == 6 * weights * tokens + 12 * layers * tokens**2 * width


def test_a_training_by_operations_is_resumed_and_found_finished(tmp_path) -> None:
    command = ["model=vae", *FLOPS, "budget.flops=2e10", f"run_dir={tmp_path / 'run'}"]
    run = train(compose("train", command))
    assert run.summary["images"] == run.config.budget.images > 0
    before = digest(run.weights)
    assert digest(train(compose("train", command)).weights) == before


@pytest.mark.slow
def test_a_benchmark_gives_every_family_the_same_operations(tiny_benchmark: Benchmark, tmp_path: Path) -> None:
    folder = tiny_benchmark(tmp_path, "benchmark.seeds=[1]", "+cell.budget={images: null, flops: 1e9}")
    rows = rows_of(folder)
    spent = {}
    for name in ("one", "two"):
        run = Run.open(folder / "cells" / f"{name}-s1")
        spent[name] = flops_per_image(resolve(run.config), Digits()) * rows[name]["images"]
        assert rows[name]["flops"] == 1e9
    assert rows["one"]["images"] > rows["two"]["images"]  # an adversary has two networks to train
    for name, flops in spent.items():
        assert 1e9 - 64 * flops / rows[name]["images"] < flops <= 1e9
    assert "Equal compute: every model was trained with 1e+09" in (folder / "leaderboard.md").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["budget.flops=1e12"], "budget.images=100000 and budget.flops=.*: give budget.images=100000, or budget=flops"),
        (["budget=flops", "budget.flops=null"], "no budget: give budget.images=100000"),
        (
            ["budget.seconds=60"],
            "budget.images=100000 and budget.seconds=60: give budget.images=100000, .* or budget=seconds",
        ),
        (["budget=seconds", "budget.flops=1e12"], "budget.flops=.* and budget.seconds=60: give"),
        (["budget=seconds", "budget.seconds=-1"], "budget.seconds = -1: expected greater than 0"),
        (
            ["budget=flops", "budget.flops=1e6"],
            r"less than one batch of 64 images takes: give at least budget.flops=2\.",
        ),
    ],
)
def test_no_budget_or_two_name_the_fix(overrides: list[str], message: str, tmp_path) -> None:
    with pytest.raises(ConfigError, match=message):
        train(compose("train", ["model=vae", *overrides, f"run_dir={tmp_path / 'run'}"]))
    assert list(tmp_path.iterdir()) == []
