"""Layouts, curves and colours behind the report."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.report.curves import losses, probes, series, smooth, thin
from genbench.benchmark.report.grids import arrange, rows_within, sheet, shrink
from genbench.benchmark.report.labels import name_points
from genbench.benchmark.report.palette import FAMILIES, OTHER, styles
from genbench.benchmark.report.svg import axes, to_svg


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("family", [*FAMILIES, "other"])
@pytest.mark.parametrize("card", ["#f6f6f4", "#1f2226"])
def test_every_colour_stands_out_on_both_cards(family, card):
    assert contrast(FAMILIES.get(family, OTHER).colour, card) >= 3.0


def test_a_family_keeps_its_colour_and_its_models_differ_in_marker(cell):
    rows = aggregate([cell("a", "gan"), cell("b", "gan"), cell("c", "vae"), cell("d", "flow")])
    first, second, third, fourth = styles(rows)
    assert first.colour == second.colour == FAMILIES["gan"].colour
    assert first.marker != second.marker
    assert (third, fourth) == (FAMILIES["vae"], OTHER)


def test_classes_stand_in_columns_in_order_of_appearance():
    layout = arrange(7, np.array([2, 0, 2, 5, 0, 2, 2]), rows=3)
    assert layout.classes == [0, 2, 5]
    np.testing.assert_array_equal(layout.index, [[1, 0, 3], [4, 2, -1], [-1, 5, -1]])


def test_of_many_classes_the_first_columns_are_shown():
    layout = arrange(200, np.arange(200) % 100, rows=2)
    assert layout.classes == list(range(10))
    np.testing.assert_array_equal(layout.index, [range(10), range(100, 110)])


def test_unlabelled_images_fill_rows():
    layout = arrange(13, None, rows=8, columns=5)
    assert layout.classes is None
    np.testing.assert_array_equal(layout.index, [range(5), range(5, 10), [10, 11, 12, -1, -1]])


def test_blank_places_and_gaps_are_transparent():
    images = np.full((3, 4, 6, 3), 200, dtype=np.uint8)
    drawn = np.asarray(sheet(images, arrange(3, None, rows=2, columns=2), gap=2))
    assert drawn.shape == (10, 14, 4)
    alpha = drawn[..., 3]
    assert alpha[:4, :6].min() == alpha[6:, :6].min() == 255
    assert alpha[4:6].max() == alpha[:, 6:8].max() == alpha[6:, 8:].max() == 0
    assert drawn[0, 0].tolist() == [200, 200, 200, 255]


def test_shrinking_averages_and_leaves_small_images_alone():
    image = np.zeros((1, 128, 64, 1), dtype=np.uint8)
    image[:, ::2] = 100
    small = shrink(image)
    assert small.shape == (1, 64, 32, 1)
    assert set(small.ravel()) == {50}
    assert shrink(small) is small


def test_rows_fit_the_budget():
    assert rows_within(10_000, [(100, 8, 8, 1)]) == 8
    assert rows_within(10_000, [(100, 8, 8, 1)] * 4) == 3  # 4 sheets of 640 bytes a row
    assert rows_within(1, [(100, 8, 8, 1)]) == 1


def test_series_skips_records_without_both_numbers():
    log = [{"images": 1, "loss": 3.0}, {"images": 2, "fd": 1.0}, {"images": 3, "loss": None}, {"images": 4, "loss": 2}]
    x, y = series(log, "images", "loss")
    assert (x.tolist(), y.tolist()) == ([1.0, 4.0], [3.0, 2.0])
    assert losses([{"generator_loss": 1, "lr": 1}, {"loss": 1, "grad_norm": 2}]) == ["generator_loss", "loss"]


def test_probes_take_their_seconds_from_the_training_around_them():
    log = [
        {"images": 100, "seconds": 10.0},
        {"images": 150, "fd": 8.0},
        {"images": 200, "seconds": 30.0},
        {"images": 200, "fd": 4.0},
    ]
    images, seconds, fd = probes(log)
    assert (images.tolist(), seconds.tolist(), fd.tolist()) == ([150.0, 200.0], [20.0, 30.0], [8.0, 4.0])
    assert np.isnan(probes([{"images": 1, "fd": 2.0}])[1]).all()


def test_smoothing_keeps_lines_and_short_curves():
    line = np.linspace(0.0, 1.0, 200)
    np.testing.assert_allclose(smooth(line)[5:-5], line[5:-5], atol=1e-12)
    assert smooth(line)[0] == pytest.approx(line[:6].mean())
    np.testing.assert_allclose(smooth(line[:30]), line[:30], atol=1e-12)


def test_thinning_keeps_both_ends():
    x = np.arange(1000.0)
    kept, _ = thin(x, x, points=50)
    assert (len(kept), kept[0], kept[-1]) == (50, 0.0, 999.0)


def test_names_of_neighbouring_points_do_not_cover_each_other():
    with axes() as (figure, ax):
        points = [(f"model number {i}", 5 + 0.01 * i, 5.0) for i in range(4)]
        ax.plot([0, 10], [0, 10], linestyle="none")
        name_points(figure, ax, points)
        boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_svg_text_is_text_and_names_are_escaped():
    with axes() as (figure, ax):
        ax.set_title("a < b & $c$")
        svg = to_svg(figure, "one", 'says "hi"')
    assert ">a &lt; b &amp; $c$</text>" in svg
    assert 'aria-label="says &quot;hi&quot;"' in svg
    assert 'id="one-figure_1"' in svg
