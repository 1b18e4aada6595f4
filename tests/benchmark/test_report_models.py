"""What the page shows of each model under its tables."""

import io

import numpy as np
from pages import Page, curve, decoded, digits, png
from PIL import Image

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.report import ModelPage, write_report


def test_a_run_under_two_protocols_is_shown_once_with_both_judgements(tmp_path, cell):
    rows = aggregate([cell(fds=(4.0,), error=0.5), cell(fds=(7.0,), error=0.5, protocol="bbbb")])
    models = [ModelPage(row, digits(10), None, curve()) for row in rows]
    page = Page(write_report(tmp_path, "t", rows, models, {}, {}).read_text())
    assert (page.count("article"), page.count("img")) == (1, 1)
    assert "protocol aaaa FD (digits) 4.00 ± 0.50 95 % interval 3.02 to 4.98" in page.words
    assert "protocol bbbb FD (digits) 7.00 ± 0.50 95 % interval 6.02 to 7.98" in page.words
    assert sum(label.startswith("Training loss") for label in page.labels) == 1


def test_the_panel_is_a_second_table_of_the_same_rows(tmp_path, cell, control):
    scores = {"kid": (0.0123, 0.0004), "ct": -5.0, "auth": 0.1}
    rows = aggregate([cell(scores=scores), cell("vae", "vae", scores=scores), control("real", 0.5, scores={"ct": 0.1})])
    page = Page(write_report(tmp_path, "t", rows, [], {}, {}).read_text())
    assert page.count("table") == 2
    assert "digits, protocol aaaa, quality panel." in page.words
    assert "KD ↓ C_T →0 authentic →real diffusion ddpm (copies) 0.0123 ± 0.0004 -5.00" in page.words
    assert "ddpm (diffusion) copies its training images: C_T is -5.0, below -3 and 10 % is authentic" in page.words


def test_facts_tell_the_sampler_the_weights_and_the_checkpoints_compared(tmp_path, cell):
    rows = aggregate([cell(sampler={"_target_": "genbench.models.DDIM", "steps": 50}, checkpoints_tried=7)])
    page = Page(write_report(tmp_path, "t", rows, [ModelPage(rows[0], digits(0))], {}, {}).read_text())
    assert "sampler DDIM, steps 50 weights averaged (EMA) checkpoints compared 7" in page.words


def test_nearest_neighbours_stand_under_the_samples(tmp_path, cell):
    rows = aggregate([cell(), cell("vae", "vae")])
    models = [ModelPage(rows[0], digits(10), neighbours=png(70, 20)), ModelPage(rows[1], digits(10))]
    page = Page(write_report(tmp_path, "t", rows, models, {}, {}).read_text())
    caption = "left of each pair: a sample; right: its nearest training image (in feature space)"
    assert page.words.count(caption) == 1
    samples, neighbours, _ = page.images
    assert samples["alt"].startswith("10 samples of ddpm")
    assert decoded(neighbours).size == (70, 20)
    assert (neighbours["width"], neighbours["height"], neighbours["class"]) == ("420", "120", "pixelated")
    np.testing.assert_array_equal(
        np.asarray(decoded(neighbours).convert("RGB")), np.asarray(Image.open(io.BytesIO(models[0].neighbours)))
    )


def test_large_sheets_of_neighbours_keep_the_page_under_three_megabytes(tmp_path, cell):
    rows = aggregate([cell(name, "diffusion") for name in "abcdef"])
    models = [ModelPage(row, digits(100, 3, 64, i), neighbours=png(640, 640, i)) for i, row in enumerate(rows)]
    path = write_report(tmp_path, "t", rows, models, {"digits": (digits(100, 3, 64), None)}, {})
    assert path.stat().st_size < 3_000_000
    shown = [image for image in Page(path.read_text()).images if "nearest" in image["alt"]]
    assert len(shown) == 6
    assert all(image["width"] == "640" and decoded(image).width < 640 for image in shown)


def test_real_images_are_those_of_the_rows_own_data(tmp_path, cell):
    rows = aggregate([cell(), cell("vae", "vae", data="squares", protocol="bbbb")])
    models = [ModelPage(row, digits(10)) for row in rows]
    real = {"digits": (digits(10, seed=1), None), "squares": (digits(10, size=16, seed=2), None)}
    page = Page(write_report(tmp_path, "t", rows, models, real, {}).read_text())
    sizes = {image["alt"]: [] for image in page.images}
    for image in page.images:
        sizes[image["alt"]].append(decoded(image).size)
    assert sizes["10 real images, in the order drawn"] == [(10 * 9 - 1, 8), (10 * 17 - 1, 16)]
