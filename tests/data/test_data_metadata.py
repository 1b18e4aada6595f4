"""Captions in metadata.jsonl: each image has its own, and every mismatch is one clear error."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.core import DataError, ImageSpec
from genbench.data.image_folder import ImageFolder

RNG = np.random.default_rng(2)


def fill(root: Path, names: list[str], lines: list[str] | None = None, column: str = "text") -> dict[str, np.ndarray]:
    saved = {}
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        saved[name] = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(saved[name]).save(root / name)
    rows = [json.dumps({"file_name": name, column: f"it is {name}", "id": 3}) for name in reversed(names)]
    (root / "metadata.jsonl").write_text("\n".join(rows if lines is None else lines) + "\n")
    return saved


def test_each_image_has_its_caption_in_both_splits_resident_and_streamed(tmp_path):
    saved = {s: fill(tmp_path / s, [f"{i}.png" for i in range(8)] + ["deep/er/9.png"]) for s in ("train", "test")}
    for limit in (0, 2**30):
        dataset = ImageFolder(str(tmp_path), resident_limit=limit)
        assert dataset.spec == ImageSpec(3, 6, 5, captions=True)
        for split in ("train", "test"):
            table = dataset.table(split)
            names = [caption.removeprefix("it is ") for caption in table.caption]
            assert sorted(names) == sorted(saved[split])
            images = table.take([8, 0])
            assert images.caption == [table.caption[8], table.caption[0]]
            expected = np.stack([saved[split][names[8]], saved[split][names[0]]])
            assert torch.equal(images.image, torch.from_numpy(expected).permute(0, 3, 1, 2))
            assert table.label is None


def test_one_folder_is_split_with_its_captions_and_the_column_can_be_named(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(40)], column="caption")
    dataset = ImageFolder(str(tmp_path), caption_column="caption", test_fraction=0.3)
    captions = [dataset.table(split).caption for split in ("train", "test")]
    assert sorted(captions[0] + captions[1]) == sorted(f"it is {i}.png" for i in range(40))
    assert min(map(len, captions)) > 5


def test_captions_count_in_the_fingerprint(tmp_path):
    fill(tmp_path, [f"{i}.png" for i in range(40)])
    for limit, old, new in ((0, "it is", "this is"), (2**30, "this is", "here is")):
        before = ImageFolder(str(tmp_path), resident_limit=limit).table("train").fingerprint()
        text = (tmp_path / "metadata.jsonl").read_text()
        (tmp_path / "metadata.jsonl").write_text(text.replace(old, new))
        assert ImageFolder(str(tmp_path), resident_limit=limit).table("train").fingerprint() != before


GOOD = '{"file_name": "0.png", "text": "a"}'


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            [GOOD, '{"file_name": "2.png", "text": "b"}'],
            r"metadata\.jsonl, line 2: 2\.png is no image in .*take out",
        ),
        ([GOOD], r'has no line for 1\.png; add \{"file_name": "1\.png", "text": "\.\.\."\}, or take out the image'),
        ([], r"has no line for 0\.png and 1 more"),
        (['{"file_name": "0.png", "prompt": "a"}'], r"line 1: no column 'text', only prompt; .*caption_column=prompt"),
        (['{"file_name": "0.png"}'], r"line 1: no column 'text', only file_name"),
        ([GOOD, "", '{"file_name": "1.png", '], r"line 3: not JSON \(Expecting.*\); write one object a line"),
        (['["0.png", "a"]'], r"line 1: no file_name; expected an object such as"),
        (['{"text": "a"}'], r"line 1: no file_name"),
        ([GOOD, GOOD], r"line 2: 0\.png has a line already"),
        (['{"file_name": "0.png", "text": null}'], r"line 1: text is null; expected text"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path, lines, told):
    fill(tmp_path, ["0.png", "1.png"], lines)
    with pytest.raises(DataError, match=told) as error:
        ImageFolder(str(tmp_path))
    assert "\n" not in str(error.value)


def test_captions_in_one_split_only_are_refused(tmp_path):
    for split in ("train", "test"):
        fill(tmp_path / split, ["0.png"])
    (tmp_path / "test" / "metadata.jsonl").unlink()
    with pytest.raises(DataError, match=r"train has a metadata\.jsonl; .*each need one of their own images"):
        ImageFolder(str(tmp_path))
    (tmp_path / "train" / "metadata.jsonl").rename(tmp_path / "metadata.jsonl")
    with pytest.raises(DataError, match="each need one of their own images"):
        ImageFolder(str(tmp_path))
