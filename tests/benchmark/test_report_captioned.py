"""Samples drawn from captions: each with its prompt and whether it shows it, as text and never as markup."""

import numpy as np
import pytest
from pages import Page, decoded, digits

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.report import ModelPage, write_report
from genbench.benchmark.report.page import Told

TOLD = [
    Told("a red circle", True, "as captioned"),
    Told('<marquee>two</marquee> blue squares & "more"', False, "1 <blue> square"),
    Told("a photo of a cat", None, "cannot judge"),
    Told("no verdict"),
]


def written(folder, cell, samples, told):
    scores = {"overall": (0.5, 0.02), "overall_held_out": (0.25, 0.04)}
    rows = aggregate([cell("t5", "text-to-image", scores=scores), cell("bag", "text-to-image", scores=scores)])
    return write_report(folder, "t", rows, [ModelPage(rows[0], samples, told=told)], {}, {}).read_text()


@pytest.fixture
def html(tmp_path, cell):
    return written(tmp_path, cell, digits(4, 3, 16), TOLD)


def test_each_sample_stands_with_its_prompt_and_its_verdict(html):
    page = Page(html)
    shown = page.images[1:]  # the first is the sheet of all
    assert [image["alt"] for image in shown] == [one.prompt for one in TOLD]
    assert [(image["width"], image["height"]) for image in shown] == [("96", "96")] * 4
    for image, sample in zip(shown, digits(4, 3, 16), strict=True):
        np.testing.assert_array_equal(np.asarray(decoded(image)), sample)
    assert "a red circle as captioned" in page.words


def test_right_wrong_and_unjudged_are_told_apart(html):
    classes = [values["class"] for tag, values in Page(html).tags if tag == "span" and "class" in values]
    assert classes == ["right", "wrong", "unjudged"]


def test_prompts_and_verdicts_are_text_never_markup(html):
    page = Page(html)
    assert '<marquee>two</marquee> blue squares & "more" 1 <blue> square' in page.words
    assert page.count("marquee") == page.count("blue") == 0


def test_at_most_two_dozen_are_shown_and_large_ones_are_shrunk(tmp_path, cell):
    page = Page(written(tmp_path, cell, digits(40, 3, 128), [Told(f"caption {i}") for i in range(40)]))
    shown = [image for image in page.images if image["alt"].startswith("caption")]
    assert [image["alt"] for image in shown] == [f"caption {i}" for i in range(24)]
    assert {decoded(image).size for image in shown} == {(96, 96)}


def test_the_facts_of_a_captioned_model_begin_with_its_share(html):
    facts = "pictures as captioned 0.500 ± 0.020 95 % interval 0.461 to 0.539 held out 0.250 ± 0.040 FD (digits) 4.00"
    assert facts in Page(html).words


def test_the_share_is_drawn_against_cost(html):
    page = Page(html)
    assert "pictures as captioned against training seconds: t5 0.500 at 10.0" in page.labels
    assert "Better is higher and further left" in page.words
