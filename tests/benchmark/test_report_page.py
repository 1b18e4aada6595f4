"""The page needs nothing but itself, and shows what it was given."""

import numpy as np
import pytest
from pages import Page, curve, decoded, digits
from PIL import Image

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.report import ModelPage, write_overview_png, write_report
from genbench.core import RunError

ABOUT = {
    "Reproduce": ["genbench benchmark benchmark=digits"],
    "Machine": {"cpu": "2 cores"},
    "Note": "one <machine>",
}


@pytest.fixture(scope="module")
def rows(cell, control, failure):
    return aggregate(
        [
            cell("vae", "vae", fds=(14.0, 15.0), error=0.4),
            cell("ddpm", "diffusion", fds=(3.0, 4.0), error=0.5),
            failure,
            control("real", 0.5),
            control("noise", 200.0),
        ]
    )


@pytest.fixture(scope="module")
def models(rows):
    labels = np.arange(100) % 10
    return [
        ModelPage(rows[0], digits(100, seed=1), labels, curve(14.5)),
        ModelPage(rows[1], digits(100, seed=2), labels, curve(3.5, ("generator_loss", "discriminator_loss"))),
        ModelPage(next(r for r in rows if r["status"] == "failed"), digits(0)),
    ]


@pytest.fixture(scope="module")
def html(tmp_path_factory, rows, models):
    folder = tmp_path_factory.mktemp("benchmark")
    path = write_report(folder, "Digits", rows, models, {"digits": (digits(100), np.arange(100) % 10)}, ABOUT)
    assert path == folder / "report" / "index.html"
    return path.read_text()


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_nothing_is_fetched_and_nothing_runs(page, html):
    assert page.loads
    assert all(load.startswith(("data:image/png;base64,", "#")) for load in page.loads)
    assert page.count("script") == page.count("link") == page.count("iframe") == 0
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "url(" not in html.replace("url(#", "")
    assert len(html) < 3_000_000


def test_sample_sheets_stand_beside_real_ones_and_decode(page):
    assert len(page.images) == 4  # two models, each beside the real images
    for image in page.images:
        drawn = decoded(image)
        assert drawn.size == (10 * 9 - 1, 8 * 9 - 1)  # ten classes, eight each, one pixel apart
        assert (int(image["width"]), int(image["height"])) == (89 * 5, 71 * 5)
        assert image["class"] == "pixelated"
    assert [image["alt"].split(",")[0] for image in page.images] == [
        "80 samples of vae", "80 real images", "80 samples of ddpm", "80 real images",
    ]  # fmt: skip


def test_pixels_are_the_samples_own(page, models):
    drawn = np.asarray(decoded(page.images[0]).convert("L"))
    for row, column in ((0, 0), (0, 7), (5, 3)):
        shown = drawn[row * 9 : row * 9 + 8, column * 9 : column * 9 + 8]
        np.testing.assert_array_equal(shown, models[0].samples[10 * row + column, ..., 0])


def test_figures_are_inline_described_and_share_no_id(page):
    assert page.count("svg") == 6  # two of distance curves, two of losses, two of cost
    assert len(page.ids) == len(set(page.ids))
    targets = {load[1:] for load in page.loads if load.startswith("#")}
    assert targets <= set(page.ids)
    assert any("vae ends at 14.5" in label and "images seen" in label for label in page.labels)
    assert any("ddpm 3.50 at 10.0" in label and "training seconds" in label for label in page.labels)


def test_figures_take_the_colour_of_the_page(html):
    assert html.count("currentColor") > 50
    assert "#010203" not in html


def test_the_table_is_a_table(page):
    scopes = [values.get("scope") for tag, values in page.tags if tag == "th"]
    assert scopes == ["col"] * 12 + ["row"] * 5
    assert page.count("caption") == 1
    assert "failed: discriminator_loss is nan at 512 images seen" in page.words
    assert "ddpm (diffusion) wins on FD (digits)" in page.words
    assert "reference.split test" in page.words
    assert "genbench benchmark benchmark=digits" in page.words


def test_what_it_is_given_is_text_never_markup(tmp_path, cell):
    rows = aggregate([cell("<b>x</b>$_1$", run="runs/<i>")])
    models = [ModelPage(rows[0], digits(10), None, curve())]
    path = write_report(tmp_path, "<script>alert(1)</script>", rows, models, {"digits": (digits(10), None)}, ABOUT)
    page = Page(path.read_text())
    assert page.count("script") == 0
    assert "<b>x</b>$_1$" in page.words
    assert "one <machine>" in page.words


def test_the_same_data_give_the_same_page(tmp_path, html, rows, models):
    again = write_report(tmp_path, "Digits", rows, models, {"digits": (digits(100), np.arange(100) % 10)}, ABOUT)
    assert again.read_text() == html


def test_models_without_samples_labels_or_curves_still_have_a_page(tmp_path, cell):
    rows = aggregate([cell(), cell("vae", "vae", accuracy=None, fds=(9.0,))])
    models = [ModelPage(rows[0], digits(0)), ModelPage(rows[1], digits(37, channels=3, size=32))]
    page = Page(write_report(tmp_path, "t", rows, models, {"digits": (digits(12, 3, 32), None)}, {}).read_text())
    assert "No samples were kept: genbench evaluate run=runs/ddpm-1 keeps some." in page.words
    assert [decoded(image).size for image in page.images] == [(10 * 34 - 2, 4 * 34 - 2), (10 * 34 - 2, 2 * 34 - 2)]
    assert all("class" not in image for image in page.images)
    assert page.count("svg") == 2  # only quality against cost


def test_a_report_of_failures_alone_is_written(tmp_path, failure):
    rows = aggregate([failure])
    page = Page(write_report(tmp_path, "t", rows, [ModelPage(rows[0], digits(0))], {}, {}).read_text())
    assert "No model has a result to compare." in page.words
    assert (page.count("svg"), page.count("img")) == (0, 0)


def test_protocols_share_neither_table_nor_axes(tmp_path, cell):
    fields = {"samples": 500, "reference": {"split": "test"}}
    rows = aggregate([cell(), cell("vae", "vae", protocol="bbbb", protocol_fields=fields)])
    models = [ModelPage(row, digits(10), None, curve()) for row in rows]
    page = Page(write_report(tmp_path, "t", rows, models, {"digits": (digits(10), None)}, {}).read_text())
    assert page.count("table") == 2
    assert "samples = 1000 (elsewhere 500)" in page.words
    assert not any("ddpm" in label and "vae" in label for label in page.labels)


def test_large_images_keep_the_page_under_three_megabytes(tmp_path, cell):
    rows = aggregate([cell(name, "diffusion") for name in "abcdef"])
    models = [ModelPage(row, digits(100, 3, 128, seed)) for seed, row in enumerate(rows)]
    path = write_report(tmp_path, "t", rows, models, {"digits": (digits(100, 3, 128), None)}, {})
    assert path.stat().st_size < 3_000_000
    assert decoded(Page(path.read_text()).images[0]).width == 10 * 66 - 2


def test_nan_in_curves_and_rows_is_left_out(tmp_path, cell):
    rows = aggregate([cell(), cell("vae", "vae", fds=(9.0,))])
    rows[0]["fd"] = rows[0]["train_seconds"] = float("nan")
    records = [*curve(), {"images": 300, "loss": None, "seconds": 3.0}, {"images": 310, "fd": float("nan")}]
    models = [ModelPage(row, digits(10), None, records) for row in rows]
    page = Page(write_report(tmp_path, "t", rows, models, {"digits": (digits(10), None)}, {}).read_text())
    assert "nan" not in page.words.lower()
    assert "nan" not in " ".join(page.labels).lower()


def test_a_full_disk_keeps_the_old_page(tmp_path, rows, monkeypatch):
    path = write_report(tmp_path, "t", rows, [], {}, {})
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match=r"index\.html"):
        write_report(tmp_path, "other", rows, [], {}, {})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]


def test_overview_shows_real_and_every_model_with_samples(tmp_path, models):
    path = tmp_path / "overview.png"
    real = digits(100, seed=9)
    write_overview_png(path, models, real)
    drawn = Image.open(path)
    strip = 2 * 32 + 2
    assert drawn.size == (860, 12 + 3 * (strip + 12))
    for index, images in enumerate((real, models[0].samples, models[1].samples)):
        top = 12 + index * (strip + 12)
        for column in (0, 13):
            left = 146 + column * 34
            shown = np.asarray(drawn.crop((left, top, left + 32, top + 32)).convert("L"))[::4, ::4]
            np.testing.assert_array_equal(shown, images[column, ..., 0])
