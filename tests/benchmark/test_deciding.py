"""With captions, pictures that show them decide: the order, the columns and the verdict."""

import io
import re

import pytest
from rich.console import Console

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.deciding import AS_CAPTIONED, DISTANCE
from genbench.benchmark.leaderboard import print_table, to_markdown
from genbench.benchmark.tables import split
from genbench.benchmark.verdict import verdict

FAMILY = "text-to-image"


@pytest.fixture
def drawn(cell):
    """Makes a judged text-to-image model: the share of its pictures as captioned, its binomial error and its FD."""

    def make(model, share, error=0.01, fd=4.0, **over):
        empty = {"is": None, "accuracy": None, "bits_per_dim": None, "likelihood": None}
        scores = {"overall": (share, error), "overall_held_out": (share / 2, error), "colour": (share, 0.03), **empty}
        given = {"family": FAMILY, "recipe": model, **over}
        return cell(model, fds=(fd,), error=0.1, scores=scores, bits_per_dim=None, likelihood=None, **given)

    return make


@pytest.fixture
def known(control):
    """The controls of captioned data."""
    shares = {"real": (1.0, 0.1), "retrieval": (0.87, 0.2), "chance": (0.04, 0.1), "noise": (0.0, 90.0)}
    return [
        control(name, fd, scores={"overall": (share, 0.0), "is": None, "accuracy": None})
        for name, (share, fd) in shares.items()
    ]


def table_of(*cells):
    (table,) = split(aggregate(cells))
    return table


def told(*cells):
    return verdict(table_of(*cells))


def test_more_pictures_as_captioned_rank_before_a_shorter_distance(drawn, known):
    table = table_of(*known, drawn("near", 0.5, fd=1.0), drawn("tie", 0.8, fd=9.0), drawn("right", 0.8, fd=8.0))
    assert [row["model"] for row in table.rows] == [
        "right", "tie", "near", "real", "retrieval", "chance", "noise",
    ]  # fmt: skip
    assert [row["model"] for row in table.judged] == ["right", "tie", "near"]


def test_a_model_that_reads_no_captions_has_no_rank_among_those_that_do(cell, drawn):
    table = table_of(cell("deaf", "vae", fds=(1.0,)), drawn("t5", 0.5))
    assert [row["model"] for row in table.rows] == ["t5", "deaf"]
    assert [row["model"] for row in table.judged] == ["t5"]


def test_captions_decide_only_where_a_model_was_asked_for_them(cell, drawn, known):
    assert table_of(drawn("t5", 0.5)).deciding is AS_CAPTIONED
    assert table_of(cell(), *known).deciding is DISTANCE
    assert told(cell(), *known)[-1].startswith("For scale: real images score 0.100")


def test_the_table_shows_shares_beside_the_distance_and_no_empty_column(drawn, known):
    table = table_of(drawn("t5", 0.5), drawn("bag", 0.25), *known)
    titles = [column.title for column in table.columns]
    assert titles[:6] == ["family", "model", "seeds", "FD (digits)", "as captioned ↑", "held out ↑"]
    assert not {"IS (digits)", "accuracy", "bits/dim"} & set(titles)
    assert [column.title for column in table.panel][2:] == ["colour ↑"]
    line = next(line for line in to_markdown(table.rows).splitlines() if "| t5 |" in line)
    assert "| **4.00 ± 0.10** | **0.500 ± 0.010** | **0.250 ± 0.010** |" in line
    console = Console(width=78, file=io.StringIO(), color_system=None)
    print_table(table.rows, console)
    assert all(len(line) <= 78 for line in console.file.getvalue().splitlines())


def test_the_verdict_names_the_share_the_gap_and_the_test(drawn):
    first, *_ = told(drawn("t5", 0.8, 0.02), drawn("bag", 0.7, 0.02, fd=1.0))
    assert first == (
        "t5 wins on pictures as captioned with 0.800 ± 0.020; bag follows at 0.700 ± 0.020, 0.100 "
        "behind (p < 0.001 by a bootstrap z-test)."
    )


def test_shares_that_no_test_tells_apart_are_a_tie_of_models(drawn):
    first, *_ = told(drawn("t5", 0.8, 0.03), drawn("bag", 0.74, 0.04), drawn("none", 0.1))
    assert first == (
        "No single model wins on pictures as captioned: t5 at 0.800 ± 0.030 is not distinguishable from bag at "
        "0.740 ± 0.040 (p = 0.23), ahead of none, by a bootstrap z-test at alpha = 0.05."
    )  # 0.06 apart with a standard error of 0.05


def test_over_seeds_the_test_is_welchs_of_the_shares(drawn):
    runs = [drawn("t5", 0.8 + s / 100, seed=s) for s in (1, 2, 3)] + [drawn("bag", s / 100, seed=s) for s in (1, 2, 3)]
    first, *rest = told(*runs)
    assert "wins on pictures as captioned with 0.820 ± 0.010" in first
    assert "0.800 behind (p < 0.001 by Welch's t-test over training seeds)" in first
    assert not any("another training" in sentence for sentence in rest)


def test_controls_give_the_scale_of_the_share(drawn, known):
    assert told(drawn("t5", 0.5), *known)[1:] == [
        "For scale: real images score 1.00, looking up the nearest training caption scores 0.870, chance scores 0.0400 "
        "and noise scores 0."
    ]


def test_a_model_stands_with_its_best_way_to_draw(drawn):
    weak, strong = (
        drawn(f"t5 guidance {scale}", share, recipe="t5", variation=f"guidance {scale}")
        for scale, share in ((1, 0.4), (4, 0.9))
    )
    first, *_ = told(weak, strong, drawn("bag", 0.6))
    assert first.startswith("t5 guidance 4 wins")
    assert "bag follows at 0.600" in first
    alone, *_ = told(weak, strong)
    assert "t5 guidance 4 wins" in alone
    assert "t5 guidance 1 follows" in alone


def test_models_of_one_family_are_ranked_by_distance_without_captions(cell):
    first, *_ = told(*(cell(model, fds=(fd,), error=0.1) for model, fd in (("epsilon", 4.0), ("flow", 3.0))))
    assert re.match(r"flow wins on FD \(digits\) with 3\.00 ± 0\.10; epsilon .* 1\.00 behind", first)


def test_the_footnote_speaks_of_scores(drawn):
    (footnote,) = table_of(drawn("t5", 0.5)).notes
    assert footnote.startswith("± is the standard error of one draw by resampling.")
    assert "a two-sided test of two scores" in footnote
