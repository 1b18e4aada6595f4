"""CLIPScore over a tiny random CLIP in Hugging Face's layout, made on the spot."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genbench.core import ConfigError
from genbench.features.files import sha256_of
from genbench.metrics import ClipScore, Evidence, FeatureTable
from small_language_models import save_language_model

CAPTIONS = ["a red circle", "a blue square", "a small green triangle", "a large circle above a square"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import CLIPImageProcessor

    place = save_language_model("clip", tmp_path_factory.mktemp("clip"))
    CLIPImageProcessor(size={"shortest_edge": 8}, crop_size=8).save_pretrained(place)
    return place


@pytest.fixture
def metric(folder: Path) -> ClipScore:
    """One whose random embeddings lie on one side, so that its mean is not floored at 0."""
    found = ClipScore(folder)
    with torch.no_grad():
        found.network.text_projection.weight.neg_()
    return found


def pictures(n: int) -> Tensor:
    return torch.randint(256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def judged(metric: ClipScore, image: Tensor, caption: list[str] | None) -> tuple[float | None, float | None]:
    table = FeatureTable(torch.rand(len(image), 2), torch.zeros(len(image), 0), None, False, image, caption)
    score = metric(Evidence(table, None, table.moments))["clip_score"]
    return score.value, score.error


class Before5(torch.nn.Module):
    """A CLIP whose features are tensors, as transformers gave them before version 5 and torchmetrics expects them."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.config = network, network.config

    def get_image_features(self, *args: Any) -> Tensor:
        return self.network.get_image_features(*args).pooler_output

    def get_text_features(self, *args: Any) -> Tensor:
        return self.network.get_text_features(*args).pooler_output


def test_it_is_torchmetrics_score_with_its_error(metric: ClipScore) -> None:
    from torchmetrics.functional.multimodal.clip_score import _clip_score_update

    image, caption = pictures(100), [CAPTIONS[i % 4] for i in range(100)]
    with torch.no_grad():
        each, _ = _clip_score_update(list(image), caption, Before5(metric.network), metric.processor)
    value, error = judged(metric, image, caption)
    assert value == pytest.approx(float(each.double().mean()), rel=1e-5)
    assert value > 1.0
    assert error == pytest.approx(float(each.double().std(correction=0)) / math.sqrt(100), rel=1e-4)


def test_which_caption_belongs_to_which_sample_counts(metric: ClipScore) -> None:
    image = torch.stack([torch.zeros(3, 16, 16, dtype=torch.uint8), pictures(1)[0]])
    ours, swapped = judged(metric, image, CAPTIONS[:2])[0], judged(metric, image, CAPTIONS[1::-1])[0]
    assert ours is not None
    assert swapped is not None
    assert abs(ours - swapped) > 1e-4 * abs(ours)


def test_samples_without_captions_have_no_score(folder: Path) -> None:
    assert judged(ClipScore(folder), pictures(4), None) == (None, None)


def test_its_weights_count_in_the_hash_and_are_checked(folder: Path, tmp_path: Path) -> None:
    weights = sha256_of(folder / "model.safetensors")
    assert ClipScore(folder, weights[:8]).fingerprint == weights
    with pytest.raises(ConfigError, match=r"metric\.clip_score\.sha256"):
        ClipScore(folder, "0" * 8)
    with pytest.raises(ConfigError, match=r"give metric\.clip_score\.weights a folder"):
        ClipScore()
    with pytest.raises(ConfigError, match=r"give metric\.clip_score\.weights a folder in Hugging Face's layout"):
        ClipScore(tmp_path)
    other = save_language_model("bert", tmp_path / "bert")
    with pytest.raises(ConfigError, match="holds a bert: give a folder of a CLIP"):
        ClipScore(other)
    shutil.copytree(folder, tmp_path / "bare")
    for path in (tmp_path / "bare").iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    with pytest.raises(ConfigError, match="has no tokenizer or image processor"):
        ClipScore(tmp_path / "bare")
