"""Pictures of a run that was trained and judged by itself: kept by `evaluate`, shown by `report`."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import TINY, command, files

from genbench.app import sheets
from genbench.app.build import load_model
from genbench.app.compose import compose
from genbench.app.sampling import draw
from genbench.app.training import train
from genbench.core import DataError
from genbench.evaluation.sources import ModelSource
from genbench.run import Run

SMALL = ("backbone.width=16", "backbone.layers=1", "backbone.heads=2", "sampler.steps=3", "text_encoder=bag_of_words")
SHAPES = ("data=shapes", "data.train_images=64", "data.test_images=64", "protocol=shapes", "protocol.samples=32")
MARKUP = "<script>alert(1)</script> & a circle"


def page_of(folder: Path) -> str:
    command("report", f"runs={folder}")
    return (folder / "report" / "index.html").read_text()


def results(run: Run) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(run.results.glob("*.json"))]


def sheet_of(run: Run, result: dict) -> np.ndarray:
    with np.load(run.results / result["sheet"], allow_pickle=False) as found:
        return found["arr_0"]


@pytest.fixture
def shapes(tmp_path: Path) -> Run:
    overrides = ["model=text_to_image", *TINY, *SHAPES, *SMALL, "features=pixels", "budget.images=128"]
    return train(compose("train", [*overrides, f"run_dir={tmp_path / 'run'}"]))


def test_prompt_picture_and_verdict_of_a_judged_run_stand_side_by_side(shapes: Run) -> None:
    before = page_of(shapes.path)
    assert "not judged" in before
    assert "<figure class=" not in before
    command("evaluate", f"run={shapes.path}")
    (result,) = results(shapes)
    prompts = [str(caption) for caption in np.load(shapes.results / result["sheet"])["captions"]]
    assert len(prompts) == 32
    page = page_of(shapes.path)
    shown = re.findall(r'alt="([^"]*)"><figcaption>([^<]*)<span class="(right|wrong|unjudged)">([^<]+)</span>', page)
    assert [alt for alt, *_ in shown] == [caption for _, caption, *_ in shown] == prompts[:24]
    assert ">samples</figcaption>" in page
    assert ">real images</figcaption>" in page


def test_a_sheet_shows_the_judged_samples_themselves(tiny) -> None:
    run = tiny("ddpm", "sampler.steps=3", "protocol.samples=100")
    command("evaluate", f"run={run.path}", "likelihood=none")
    (result,) = results(run)
    model = load_model(run)
    source = ModelSource(model, "again")
    judged = torch.cat([source.draw(0, range(start, start + 50))[0] for start in (0, 50)])
    np.testing.assert_array_equal(sheet_of(run, result), judged.permute(0, 2, 3, 1).numpy())
    np.testing.assert_array_equal(sheet_of(run, result), draw(model, 100).image.permute(0, 2, 3, 1).numpy())


def test_judgements_of_the_same_samples_share_a_sheet_and_others_have_their_own(tiny) -> None:
    run = tiny("ddpm", "sampler.steps=3", "protocol.samples=100")
    judge = ("evaluate", f"run={run.path}", "likelihood=none")
    command(*judge)
    command(*judge, "protocol.samples=128")
    command(*judge, "sampler.steps=4")
    assert len(results(run)) == 3
    assert len({result["sheet"] for result in results(run)}) == 2
    page = page_of(run.path)
    assert page.count(">samples</figcaption>") == 2


def test_a_result_without_a_sheet_is_given_one_without_being_judged_again(tiny, monkeypatch) -> None:
    run = tiny("vae", "protocol.samples=100")
    command("evaluate", f"run={run.path}")
    before, (path,) = files(run.path), run.results.glob("*.json")
    result = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in result.items() if key not in ("sheet", "real")}))
    for sheet in (result["sheet"], result["real"]):
        (run.results / sheet).unlink()
    assert f"genbench evaluate run={run.path}</code> keeps some" in page_of(run.path)
    monkeypatch.setattr("genbench.evaluation.Judge.evaluate", lambda *_: pytest.fail("judged again"))
    command("evaluate", f"run={run.path}")
    after = files(run.path)
    assert results(run) == [result]
    pictures = [name for name in before if name.startswith("results/") and not name.endswith(".json")]
    assert len(pictures) == 3
    assert {name: after[name][0] for name in pictures} == {name: before[name][0] for name in pictures}


def test_a_sheet_that_cannot_be_drawn_costs_no_judgement_and_keeps_to_the_batch(tiny, monkeypatch) -> None:
    run = tiny("vae", "protocol.samples=100")
    collect, batches = sheets.collect, []

    def fails(*args, **kwargs):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(sheets, "collect", fails)
        with pytest.raises(RuntimeError, match="out of memory"):
            command("evaluate", f"run={run.path}", "batch_size=32")
    assert results(run)[0]["fd"] > 0
    monkeypatch.setattr("genbench.evaluation.Judge.evaluate", lambda *_: pytest.fail("judged again"))
    draw = ModelSource.draw
    monkeypatch.setattr(ModelSource, "draw", lambda self, seed, i: (batches.append(len(i)), draw(self, seed, i))[1])
    assert collect is sheets.collect
    command("evaluate", f"run={run.path}", "batch_size=32")
    assert batches == [32, 32, 32, 4]
    assert (run.results / results(run)[0]["sheet"]).is_file()


def test_real_images_are_shown_where_the_test_split_lacks_a_class(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "train.npz", images=images, labels=np.arange(80) % 3)
    np.savez(tmp_path / "test.npz", images=images[:40], labels=np.array([1] * 30 + [2] * 10))
    data = ["data=npz", f"data.train={tmp_path}/train.npz", f"data.test={tmp_path}/test.npz"]
    judge = ["features=pixels", "metric=[fd]", "protocol.samples=32"]
    run = train(compose("train", ["model=vae", *TINY, *data, *judge, "budget.images=64", f"run_dir={tmp_path / 'r'}"]))
    command("evaluate", f"run={run.path}")
    with np.load(run.results / results(run)[0]["real"]) as real:
        assert real["arr_1"].tolist() == [1, 2] * 10 + [1] * 20
    assert ">real images</figcaption>" in page_of(run.path)


def test_verdicts_stand_below_pictures_of_any_data_that_the_checker_judged(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "data.npz", images=images, captions=np.array(["a red circle", "a purple elephant"] * 40))
    data = ["data=npz", f"data.train={tmp_path / 'data.npz'}", "features=pixels", "protocol=shapes"]
    overrides = ["model=text_to_image", *TINY, *SMALL, *data, "protocol.samples=32", "budget.images=64"]
    run = train(compose("train", [*overrides, f"run_dir={tmp_path / 'r'}"]))
    command("evaluate", f"run={run.path}")
    page = page_of(run.path)
    with np.load(run.results / results(run)[0]["sheet"]) as sheet:
        circles = list(sheet["captions"][:24]).count("a red circle")
    assert 0 < circles < 24
    assert page.count('a red circle<span class="wrong">') == circles
    assert page.count('a purple elephant<span class="unjudged">') == 24 - circles
    assert "Dashed" not in page  # no control was judged
    assert "index modulo classes" not in page


def test_markup_in_a_caption_is_text_on_the_page(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "data.npz", images=images, captions=np.array([MARKUP, "a square"] * 40))
    data = ["data=npz", f"data.train={tmp_path / 'data.npz'}", "features=pixels", "metric=[fd]", "protocol.samples=32"]
    run = train(
        compose("train", ["model=text_to_image", *TINY, *SMALL, *data, "budget.images=64", f"run_dir={tmp_path / 'r'}"])
    )
    command("evaluate", f"run={run.path}")
    page = page_of(run.path)
    assert "<script>" not in page
    with np.load(run.results / results(run)[0]["sheet"]) as sheet:
        asked = list(sheet["captions"][:24]).count(MARKUP)
    assert 0 < asked < 24
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; a circle</figcaption>") == asked


def test_a_sheet_that_cannot_be_read_is_named(tiny) -> None:
    run = tiny("vae", "protocol.samples=100")
    command("evaluate", f"run={run.path}")
    (result,) = results(run)
    (run.results / result["sheet"]).write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=result["sheet"]):
        page_of(run.path)
