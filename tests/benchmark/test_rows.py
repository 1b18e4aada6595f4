"""Aggregation against numbers worked out by hand."""

import math

import pytest

from genbench.benchmark.rows import ROW_KEYS, aggregate, normalised
from genbench.benchmark.statistics import distinguishable, estimate, mean, sample_std
from genbench.core import RunError

DOCUMENTED = (
    "family model data seeds images features fd fd_std is is_std spread accuracy bits_per_dim likelihood params "
    "train_seconds images_per_second sample_seconds_per_1k nfe samples protocol protocol_fields run runs status error"
)


def test_the_keys_are_the_documented_ones_in_order(cell, failure):
    assert " ".join(ROW_KEYS) == DOCUMENTED
    for row in aggregate([cell(), failure]):
        assert tuple(normalised(row)) == ROW_KEYS
        assert set(row) == set(ROW_KEYS)


def test_every_key_is_documented(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "leaderboard.md").read_text()
    named = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert tuple(named) == ROW_KEYS


def test_one_seed_spreads_over_its_sampling_repeats(cell):
    (row,) = aggregate([cell(fds=(2.0, 4.0, 9.0))])
    assert row["fd"] == pytest.approx(5.0)
    assert row["fd_std"] == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert (row["is"], row["is_std"]) == (pytest.approx(10.0), pytest.approx(1.0))
    assert row["spread"] == "sampling seeds"


def test_two_seeds_spread_over_their_means_not_their_repeats(cell):
    (row,) = aggregate([cell(seed=1, fds=(1.0, 3.0)), cell(seed=7, fds=(5.0, 15.0))])
    assert row["seeds"] == [1, 7]
    assert row["fd"] == pytest.approx(6.0)
    assert row["fd_std"] == pytest.approx(8.0 / math.sqrt(2))  # of the means 2 and 10
    assert row["spread"] == "training seeds"
    assert (row["run"], row["runs"]) == ("runs/ddpm-1", ["runs/ddpm-1", "runs/ddpm-7"])


def test_one_draw_has_no_spread(cell):
    (row,) = aggregate([cell(fds=(4.0,))])
    assert (row["fd"], row["fd_std"], row["is_std"], row["spread"]) == (4.0, None, None, None)


def test_a_result_without_repeats_counts_as_one(cell):
    (row,) = aggregate([cell(fds=(4.0,), repeats=None)])
    assert (row["fd"], row["accuracy"], row["spread"]) == (4.0, 0.9, None)


def test_costs_are_means_over_seeds(cell):
    cells = [
        cell(seed=1, train_seconds=10.0, images_per_second=100.0, sample_seconds_per_1k=1.0, bits_per_dim=1.0),
        cell(seed=2, train_seconds=20.0, images_per_second=50.0, sample_seconds_per_1k=4.0, bits_per_dim=2.0),
    ]
    (row,) = aggregate(cells)
    keys = ("train_seconds", "images_per_second", "sample_seconds_per_1k", "bits_per_dim", "nfe", "params")
    assert [row[key] for key in keys] == [15.0, 75.0, 2.5, 1.5, 50.0, 500]


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_one_missing_number_makes_the_mean_null(cell, bad):
    (row,) = aggregate([cell(seed=1, fds=(4.0,)), cell(seed=2, fds=(4.0,), repeats=[{"fd": bad, "is": 9.0}])])
    assert (row["fd"], row["fd_std"]) == (None, None)
    assert row["accuracy"] is None
    assert row["is"] == 9.0


def test_rows_part_by_model_budget_and_protocol(cell):
    cells = [cell(), cell(seed=2), cell(images=2000), cell(protocol="bbbb"), cell("vae", "vae")]
    assert [(r["model"], r["seeds"], r["images"], r["protocol"]) for r in aggregate(cells)] == [
        ("ddpm", [1, 2], 1000, "aaaa"),
        ("ddpm", [1], 2000, "aaaa"),
        ("ddpm", [1], 1000, "bbbb"),
        ("vae", [1], 1000, "aaaa"),
    ]


def test_controls_have_no_seed_and_no_cost(control):
    (row,) = aggregate([control("noise", 200.0)])
    assert (row["family"], row["model"], row["fd"], row["seeds"], row["runs"]) == (
        "control", "noise", 200.0, [], [],
    )  # fmt: skip
    assert row["run"] is None
    assert row["train_seconds"] is None
    assert row["nfe"] is None


def test_failed_seeds_get_a_row_of_their_own(cell, failure):
    ok, failed = aggregate([cell("dcgan", "gan", seed=2), failure, {**failure, "seed": 3, "run": "runs/dcgan-3"}])
    assert (ok["status"], ok["seeds"], ok["error"]) == ("ok", [2], None)
    assert (failed["status"], failed["seeds"], failed["fd"]) == ("failed", [1, 3], None)
    assert failed["runs"] == ["runs/dcgan-1", "runs/dcgan-3"]
    assert failed["error"].startswith("discriminator_loss is nan at 512")


def test_the_same_seed_twice_is_refused_and_both_runs_named(cell):
    with pytest.raises(RunError, match=r"runs/a and runs/b are both model ddpm on digits with seed 1"):
        aggregate([cell(run="runs/a"), cell(run="runs/b")])


def test_normalised_turns_every_non_finite_number_into_null(cell):
    (row,) = aggregate([cell(protocol_fields={"a": math.nan, "b": [1.0, math.inf], "c": True})])
    row["train_seconds"] = math.nan
    record = normalised(row)
    assert record["train_seconds"] is None
    assert record["protocol_fields"] == {"a": None, "b": [1.0, None], "c": True}


def test_statistics_by_hand():
    assert mean([1, 2, 6]) == 3.0
    assert mean([]) is None
    assert sample_std([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) == pytest.approx(math.sqrt(32 / 7))
    assert sample_std([3.0]) is None
    assert estimate([[1.0, 2.0], [6.0]]).mean == 3.0  # over draws, though the seeds' means are 1.5 and 6


@pytest.mark.parametrize(
    ("gap", "a", "b", "apart"),
    [(1.0, 0.4, 0.5, True), (1.0, 0.6, 0.5, False), (1.0, None, None, True), (0.0, None, None, False)],
)
def test_models_are_apart_when_their_intervals_are_disjoint(gap, a, b, apart):
    assert distinguishable(5.0, a, 5.0 + gap, b) is apart
    assert distinguishable(5.0 + gap, b, 5.0, a) is apart
