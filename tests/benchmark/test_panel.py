"""The quality panel: the further scores, which end is better, and what counts as a copy."""

import io

import pytest
from rich.console import Console

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.leaderboard import print_table, to_markdown
from genbench.benchmark.memorisation import copying
from genbench.benchmark.panel import PANEL, panel
from genbench.benchmark.tables import split

HONEST = {"kid": (0.0123, 0.0004), "recall": 0.6, "fld_gap": -0.5, "ct": (0.4, 1.0), "auth": 0.55}
COPIED = {"kid": (0.0001, 0.0004), "recall": 1.0, "fld_gap": -9.0, "ct": (-41.0, 1.0), "auth": 0.01}


def one(cells):
    (table,) = split(aggregate(cells))
    return table


@pytest.fixture
def table(cell, control):
    return one(
        [
            cell(scores=HONEST),
            cell("vae", "vae", fds=(9.0,), scores={**HONEST, "ct": (-5.0, 1.0), "fld_gap": 0.2, "auth": 0.9}),
            control("real", 0.5, scores={**HONEST, "auth": 0.6}),
            control("train copy", 0.1, scores=COPIED),
        ]
    )


def column(table, title):
    (found,) = [column for column in table.panel if column.title.startswith(title)]
    return found


def test_rows_without_further_scores_have_no_panel(cell):
    assert one([cell()]).panel == []


def test_the_panel_holds_what_is_there_in_a_fixed_order(table):
    assert [column.title for column in table.panel] == [
        "family", "model", "KD ↓", "recall ↑", "FLD gap →0", "C_T →0", "authentic →real",
    ]  # fmt: skip
    assert [column.title for column in panel(table.rows, "inception")][2] == "KID x 1000 ↓"


def test_a_score_nobody_knows_is_shown_and_not_ranked(cell):
    (_, _, own) = one([cell(scores={"mine": 3.0}), cell("vae", "vae", scores={"mine": 2.0})]).panel
    assert (own.title, own.better, own.numeric) == ("mine", None, True)
    assert own.best(one([cell(scores={"mine": 3.0}), cell("vae", "vae", scores={"mine": 2.0})]).rows) is None


def test_values_carry_their_factor_and_their_deviation(table):
    ddpm = table.judged[0]
    assert column(table, "KD").text(ddpm) == "0.0123 ± 0.0004"
    assert column(table, "recall").text(ddpm) == "0.600"


@pytest.mark.parametrize(("title", "best"), [("KD", 0.0123), ("FLD gap", 0.2), ("C_T", 0.4), ("authentic", 0.55)])
def test_the_best_is_the_lowest_or_the_nearest_to_its_target(table, title, best):
    assert column(table, title).best(table.scored) == best  # authentic: nearer to the 0.6 of real images than 0.9


def test_without_real_images_what_is_measured_against_them_is_not_ranked(cell):
    table = one([cell(scores=HONEST), cell("vae", "vae", scores={**HONEST, "auth": 0.9})])
    assert column(table, "authentic").best(table.scored) is None


def test_every_known_score_has_a_better_end():
    assert {better for _, better in PANEL.values()} == {"low", "high", "zero", "real"}


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ({"ct": -3.1, "auth": 0.29}, "C_T is -3.1, below -3 and 29 % is authentic against 60 % of real images"),
        ({"ct": -3.1, "auth": 0.6}, None),
        ({"ct": -3.1}, None),
        ({"ct": -2.9, "auth": 0.31}, None),
        ({"auth": 0.29}, None),
        ({}, None),
    ],
)
def test_a_copy_is_known_by_all_that_was_measured(cell, control, scores, words):
    real, row = aggregate([control("real", 0.5, scores={"auth": 0.6}), cell(scores=scores)])
    assert copying(row, real) == words
    assert copying(real, real) is None


def test_copies_are_marked_by_name_in_the_panel_only(table):
    names = [column(table, "model").text(row) for row in table.rows]
    assert names == ["ddpm", "vae", "train copy (copies)", "real"]
    text = to_markdown(table.rows)
    assert text.count("train copy (copies)") == 1
    assert text.index("#### digits, protocol aaaa, quality panel") < text.index("train copy (copies)")


def test_a_narrow_terminal_gets_the_panel_in_parts_that_lose_nothing(cell):
    rows = aggregate([cell(scores=dict.fromkeys(PANEL, (0.5, 0.01))), cell("vae", "vae", scores=HONEST)])

    def printed(width):
        console = Console(width=width, file=io.StringIO(), color_system=None)
        print_table(rows, console)
        return console.file.getvalue()

    narrow, wide = printed(78), printed(260)
    assert all(len(line) <= 78 for line in narrow.splitlines())
    assert {w for w in wide.split() if "─" not in w} <= set(narrow.split())
    assert wide.count("quality panel") == narrow.count("quality panel") == 1


def test_of_captions_the_table_shows_the_skills_and_not_their_parts(cell):
    scores = {"overall": 0.6, "overall_held_out": 0.4, "colour": 0.9, "colour_held_out": 0.8}
    table = one([cell(scores=scores), cell("vae", "vae", scores=scores | {"colour": 0.5})])
    assert [column.title for column in table.columns][3:6] == ["FD (digits)", "as captioned ↑", "held out ↑"]
    assert [column.title for column in table.panel] == ["family", "model", "colour ↑"]
    assert column(table, "colour").best(table.rows) == 0.9
