"""The leaderboard's files and the printed table say the same, whole or not at all."""

import csv
import io
import json
import math

import pytest
from rich.console import Console

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.columns import bits, columns, count, duration, p_value, percent, plus_minus, why_not
from genbench.benchmark.leaderboard import print_table, read_leaderboard, write_leaderboard
from genbench.benchmark.rows import ROW_KEYS
from genbench.benchmark.tables import flatten, ranked, split
from genbench.core import RunError


@pytest.fixture
def rows(cell, control, failure):
    return aggregate(
        [
            control("real", 0.5, accuracy=0.99),
            control("noise", 200.0, accuracy=0.1),
            cell("vae", "vae", fds=(14.0, 15.0, 16.0), nfe=1, likelihood="elbo"),
            failure,
            cell("ddpm", "diffusion", fds=(3.0, 4.0, 5.0)),
            cell("pixel_gpt", "autoregressive", fds=(6.0, 6.5, 7.0), nfe=64, bits_per_dim=1.2, likelihood="exact"),
        ]
    )


def printed(rows, width=150, markup=False):
    console = Console(width=width, file=io.StringIO(), color_system="standard" if markup else None)
    print_table(rows, console)
    return console.file.getvalue()


def markdown_cells(text):
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_rows_are_ranked_by_distance_with_failures_and_controls_last(rows):
    assert [r["model"] for r in ranked(rows)] == ["ddpm", "pixel_gpt", "vae", "dcgan", "real", "noise"]


def test_json_reads_back_as_the_ranked_rows(tmp_path, rows):
    write_leaderboard(tmp_path, rows)
    assert read_leaderboard(tmp_path / "leaderboard.json") == ranked(rows)
    assert read_leaderboard(tmp_path) == ranked(rows)


def test_csv_and_markdown_agree_with_json(tmp_path, rows):
    write_leaderboard(tmp_path, rows)
    records = json.loads((tmp_path / "leaderboard.json").read_text())
    table = list(csv.DictReader((tmp_path / "leaderboard.csv").open(newline="")))
    assert tuple(table[0]) == ROW_KEYS
    assert len(table) == len(records) == 6
    for line, record in zip(table, records, strict=True):
        for key, value in record.items():
            if value is None:
                assert line[key] == ""
            elif isinstance(value, (list, dict)):
                assert json.loads(line[key]) == value
            else:
                assert type(value)(line[key]) == value
    head, *body = markdown_cells((tmp_path / "leaderboard.md").read_text())
    assert head[:4] == ["family", "model", "seeds", "FD (digits)"]
    assert [line[1] for line in body] == [record["model"] for record in records]
    assert body[0][3] == "**4.00 ± 1.00**"
    assert body[2][3] == "15.0 ± 1.0"


def test_nan_is_written_as_null(tmp_path, cell):
    rows = aggregate([cell()])
    rows[0]["fd"] = math.nan
    write_leaderboard(tmp_path, rows)
    text = (tmp_path / "leaderboard.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)[0]["fd"] is None


def test_a_failure_while_writing_keeps_the_old_leaderboard(tmp_path, rows, monkeypatch):
    write_leaderboard(tmp_path, rows)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="No space left on device"):
        write_leaderboard(tmp_path, rows[:1])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unwritable_row_is_refused_before_any_file_changes(tmp_path, rows):
    write_leaderboard(tmp_path, rows)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    rows[0]["run"] = object()
    with pytest.raises(TypeError):
        write_leaderboard(tmp_path, rows)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot read"), ("{", "cannot read"), ("{}", "list of rows"), ('[{"model": "a"}]', "lacks family")],
)
def test_what_is_no_leaderboard_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "leaderboard.json").write_text(content)
    with pytest.raises(RunError, match=words):
        read_leaderboard(tmp_path)


def test_only_inception_makes_it_a_fid():
    assert [column.title for column in columns("inception")][3:5] == ["FID", "IS"]
    assert [column.title for column in columns("digits")][3:5] == ["FD (digits)", "IS (digits)"]


def test_printed_table_has_every_row_and_the_best_in_bold(rows):
    lines = printed(rows, markup=True).splitlines()
    (ddpm,) = [line for line in lines if "ddpm" in line]
    (vae,) = [line for line in lines if "vae" in line]
    (real,) = [line for line in lines if "real" in line]
    assert "\x1b[1m4.00 ± 1.00\x1b[0m" in ddpm
    assert "\x1b[1m1\x1b[0m" in vae  # the fewest network evaluations
    assert "\x1b[2m" in real
    assert "\x1b[1m" not in real  # the best distance of all, but of no model
    text = printed(rows)
    assert "dcgan failed: discriminator_loss is nan at 512 images seen" in text
    assert "second line" not in text
    assert "standard deviation over sampling seeds" in text


def test_a_narrow_terminal_loses_nothing(rows):
    wide, narrow = printed(rows, 150), printed(rows, 78)
    assert all(len(line) <= 78 for line in narrow.splitlines())
    assert set(wide.split()) <= set(narrow.split()) | {"─" * n for n in range(1, 151)}


def test_likelihoods_of_different_kinds_are_not_ranked(cell):
    bounds = aggregate([cell(bits_per_dim=2.0), cell("vae", "vae", bits_per_dim=1.0)])
    mixed = aggregate([cell(bits_per_dim=2.0), cell("vae", "vae", bits_per_dim=1.0, likelihood="exact")])
    column = next(column for column in columns("digits") if column.title == "bits/dim")
    assert column.best(bounds) == 1.0
    assert column.best(mixed) is None


def test_protocols_never_share_a_table_and_their_differences_are_named(cell, control, failure):
    other = {"protocol": "bbbb", "protocol_fields": {"samples": 500, "reference": {"split": "train"}}}
    rows = aggregate(
        [cell(), cell("vae", "vae"), control("real", 1.0), cell("gpt", "autoregressive", **other), failure]
    )
    first, second = split(rows)
    assert [row["model"] for row in first.rows] == ["ddpm", "vae", "dcgan", "real"]
    assert [row["model"] for row in second.rows] == ["gpt"]
    assert first.differs is not None
    assert "samples = 1000 (elsewhere 500)" in first.differs
    assert "reference.split = train (elsewhere test)" in second.differs
    assert "features" not in second.differs
    text = printed(rows)
    assert text.count("NFE") == 2
    assert text.count("not comparable with the other tables") == 2


def test_one_protocol_is_one_table_without_a_warning(rows):
    (table,) = split(rows)
    assert table.differs is None
    assert "not comparable" not in printed(rows)


def test_a_table_without_a_judgement_has_no_protocol_that_could_differ(cell, failure):
    tables = split(aggregate([cell(), {**failure, "data": "mnist"}]))
    assert [(table.data, table.differs) for table in tables] == [("digits", None), ("mnist", None)]


def test_a_table_has_no_column_of_numbers_that_no_row_has(cell, failure):
    (table,) = split(aggregate([cell(scores={"accuracy": None}, bits_per_dim=None), failure]))
    titles = [column.title for column in table.columns]
    assert "FD (digits)" in titles
    assert not {"accuracy", "bits/dim", "as captioned", "held out"} & set(titles)
    (nothing,) = split(aggregate([failure]))
    assert "FD (no features)" in [column.title for column in nothing.columns]


def test_data_and_unrecorded_fields_part_tables_too(cell):
    rows = aggregate([cell(protocol_fields=None), cell(protocol="bbbb", protocol_fields=None)])
    assert [table.differs for table in split(rows)] == [
        "not comparable with the other tables: fields that were not recorded"
    ] * 2
    elsewhere = split(aggregate([cell(), cell(data="mnist")]))
    assert [table.data for table in elsewhere] == ["digits", "mnist"]
    assert "data = mnist (elsewhere digits)" in (elsewhere[1].differs or "")


def test_a_failure_alone_still_makes_a_table(failure):
    (table,) = split(aggregate([failure]))
    assert (table.protocol, len(table.failed), table.judged) == (None, 1, [])
    assert "dcgan failed" in printed(aggregate([failure]))


def test_what_was_never_judged_is_said_plainly(cell, failure):
    unjudged = {**failure, "error": "training is not finished", "status": "unjudged"}
    text = printed(aggregate([cell(), unjudged]))
    assert "dcgan not judged: training is not finished" in text
    assert "failed" not in text


def test_flatten_names_nested_fields_with_dots():
    assert flatten({"a": 1, "b": {"c": {"d": 2}, "e": [3]}}) == {"a": 1, "b.c.d": 2, "b.e": [3]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (plus_minus(12.345, 0.5), "12.3 ± 0.5"),
        (plus_minus(12.345, 0.012), "12.35 ± 0.01"),
        (plus_minus(1234.5, None), "1,234"),
        (plus_minus(0.0123456, None), "0.0123"),
        (plus_minus(None, 0.1), "\N{EN DASH}"),
        (p_value(0.5), "p = 0.50"),
        (p_value(0.0312), "p = 0.031"),
        (p_value(1e-9), "p < 0.001"),
        (percent(0.9731), "97.3 %"),
        (count(64), "64"),
        (count(412_345), "412 k"),
        (count(1_204_000), "1.20 M"),
        (count(None), "\N{EN DASH}"),
        (duration(4.2), "4.20 s"),
        (duration(740), "12.3 min"),
        (duration(12_240), "3.40 h"),
    ],
)
def test_numbers_read_well(text, expected):
    assert text == expected


def test_bits_carry_their_kind_and_errors_are_cut(cell, failure):
    ok, failed = aggregate([cell(), failure])
    assert bits(ok) == "1.50 (vlb)"
    assert bits(failed) == "\N{EN DASH}"
    assert why_not(failed, 20) == "failed: discriminator_loss…"


def test_a_control_is_never_the_best_even_when_it_ties(cell, control):
    real, ddpm, vae = aggregate([control("real", 0.5), cell(), cell("vae", "vae", accuracy=0.8)])
    column = next(column for column in columns("digits") if column.title == "accuracy")
    real["accuracy"] = ddpm["accuracy"]
    best = column.best([real, ddpm, vae])
    assert (column.is_best(ddpm, best), column.is_best(real, best)) == (True, False)
