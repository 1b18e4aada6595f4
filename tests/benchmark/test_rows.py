"""Aggregation against numbers worked out by hand."""

import math
import re

import pytest

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.panel import PANEL
from genbench.benchmark.rows import CAPTIONED, ROW_KEYS, deviation, normalised
from genbench.benchmark.statistics import estimate, mean, sample_std
from genbench.core import RunError

DOCUMENTED = (
    "family model data seeds images flops budget_seconds features fd fd_std is is_std spread accuracy overall "
    "overall_held_out single_object two_objects counting colour position attribute_binding bits_per_dim likelihood "
    "params train_seconds images_per_second sample_seconds_per_1k nfe samples protocol protocol_fields run runs status "
    "error scores flags sampler variation weights checkpoints_tried recipe source"
)


def test_the_keys_are_the_documented_ones_in_order(cell, failure):
    assert " ".join(ROW_KEYS) == DOCUMENTED
    for row in aggregate([cell(), failure]):
        assert tuple(normalised(row)) == ROW_KEYS
        assert set(row) == set(ROW_KEYS)


def test_every_key_and_score_is_documented(pytestconfig):
    rows, scores, *_ = (pytestconfig.rootpath / "docs" / "leaderboard.md").read_text().split("\n## ")
    assert re.findall(r"^\| `(\w+)`", rows, re.MULTILINE) == list(ROW_KEYS)
    cells = re.findall(r"^\| (`[^|]*) \|", scores, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(cells)) == list(PANEL)


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


def test_every_score_of_the_repeats_is_kept_with_its_error(cell):
    (row,) = aggregate([cell(fds=(3.0, 5.0), error=0.25, scores={"kid": (0.02, 0.001), "ct": -1.0})])
    assert list(row["scores"]) == ["fd", "is", "accuracy", "kid", "ct"]
    assert row["scores"]["fd"] == {
        "mean": 4.0,
        "std": pytest.approx(math.sqrt(2)),
        "error": 0.25,
        "interval": pytest.approx([4.0 - 1.959964 * 0.25, 4.0 + 1.959964 * 0.25], rel=1e-6),
    }
    assert row["scores"]["kid"]["error"] == 0.001
    assert row["scores"]["ct"] == {"mean": -1.0, "std": 0.0, "error": None, "interval": None}


def test_captioned_shares_are_keys_of_their_own_and_null_without_captions(cell):
    scores = [{"overall": (share, 0.01), "colour": 0.9, "colour_held_out": 0.1} for share in (0.5, 0.7)]
    row, plain = aggregate([*(cell(seed=i, scores=one) for i, one in enumerate(scores)), cell("vae", "vae")])
    assert (row["overall"], row["colour"], row["overall_held_out"]) == (pytest.approx(0.6), 0.9, None)
    assert row["scores"]["overall"]["error"] == pytest.approx(0.1)  # over two seeds, and not the binomial 0.01
    assert row["scores"]["overall"]["interval"] == [0.0, 1.0]
    assert row["scores"]["colour_held_out"]["mean"] == 0.1
    assert [plain[key] for key in CAPTIONED] == [None] * 8


def test_over_training_seeds_the_error_is_that_of_their_mean_with_a_t_interval(cell):
    kids = (2.0, 4.0, 9.0)
    (row,) = aggregate([cell(seed=i, scores={"kid": (kid, 0.01), "density": kid}) for i, kid in enumerate(kids)])
    error = math.sqrt(13.0 / 3)  # of a variance of 13 over three seeds; the bootstrap's 0.01 does not count
    assert row["scores"]["kid"]["error"] == pytest.approx(error)
    assert row["scores"]["kid"]["interval"] == pytest.approx([5.0 - 4.302653 * error, 5.0 + 4.302653 * error], rel=1e-6)
    assert row["scores"]["density"]["interval"] == pytest.approx([0.0, 5.0 + 4.302653 * error], rel=1e-6)


def test_a_score_that_one_seed_lacks_has_no_mean(cell):
    (row,) = aggregate([cell(seed=1, scores={"ct": (-1.0, 0.1)}), cell(seed=2)])
    assert row["scores"]["ct"] == {"mean": None, "std": None, "error": None, "interval": None}
    assert row["scores"]["fd"]["std"] == 0.0


def test_the_bootstrap_stands_in_for_the_deviation_of_one_draw_only(cell):
    (once,) = aggregate([cell(error=0.3)])
    (twice,) = aggregate([cell(fds=(3.0, 5.0), error=0.3)])
    assert (once["fd_std"], deviation(once, "fd")) == (None, 0.3)
    assert deviation(twice, "fd") == twice["fd_std"] == pytest.approx(math.sqrt(2))
    assert deviation(once, "kid") is None


def test_rows_say_how_they_were_drawn_and_chosen(cell):
    sampler = {"name": "ddim", "steps": 50}
    (row,) = aggregate([cell(sampler=sampler, weights="raw", checkpoints_tried=7, flags=["singular", "singular"])])
    assert (row["sampler"], row["weights"], row["checkpoints_tried"]) == (sampler, "raw", 7)
    assert row["flags"] == ["singular"]


def test_recipes_are_told_apart_by_name_only_where_one_name_has_several(cell, failure):
    rows = aggregate([cell(recipe="aaaa1111"), cell(recipe="bbbb2222"), cell("vae", "vae", recipe="cccc3333")])
    assert [row["model"] for row in rows] == ["ddpm aaaa1111", "ddpm bbbb2222", "vae"]
    assert [row["recipe"] for row in rows] == ["aaaa1111", "bbbb2222", "cccc3333"]
    same = aggregate([cell("dcgan", "gan", seed=2, recipe="dddd4444"), {**failure, "recipe": "dddd4444"}])
    assert [row["model"] for row in same] == ["dcgan", "dcgan"]


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


def test_what_was_never_judged_is_not_failed(failure):
    rows = aggregate([failure, {**failure, "seed": 2, "error": "training is not finished", "status": "unjudged"}])
    assert [(row["status"], row["seeds"]) for row in rows] == [("failed", [1]), ("unjudged", [2])]


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
