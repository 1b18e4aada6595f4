"""CLIPScore against torchmetrics' own, over a CLIP of random weights that the tests save."""

import hashlib
import json
import math
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from clouds import NO_MOMENTS
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchmetrics.multimodal import CLIPScore

from genbench.core import ConfigError, ImageSpec
from genbench.data.images import ResidentTable
from genbench.evaluation import Judge, Protocol, Reference
from genbench.evaluation.sources import TableSource
from genbench.features import Pixels
from genbench.metrics import ClipScore, Evidence, FeatureTable, Score, within_range

transformers = pytest.importorskip("transformers")

LENGTH = 24
CAPTIONS = ["a red circle", "blue", "a square above", "two stars", "small"]
LONG = ["red circle above a small blue square", "green triangle and a red square and more"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny CLIP whose tokens are letters, and its processor."""
    folder = tmp_path_factory.mktemp("clip")
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
    shared = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    shared |= {"projection_dim": 16, "initializer_range": 0.5}  # so that embeddings differ
    ends = {"bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53}
    text = {**shared, **ends, "vocab_size": len(words), "max_position_embeddings": LENGTH}
    sight = {**shared, "image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    network = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=sight, projection_dim=16))
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    network.save_pretrained(folder)
    transformers.CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def metric(folder: Path) -> ClipScore:
    return ClipScore(folder)


def images(n: int, channels: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (n, channels, 5, 6), generator=generator)
    return coarse.repeat_interleave(4, 2).repeat_interleave(4, 3).to(torch.uint8)


def judged(metric: ClipScore, image: Tensor | None, caption: list[str] | None, n: int = 1) -> Score:
    n = n if image is None else len(image)
    table = FeatureTable(torch.zeros(n, 1), torch.zeros(n, 0), None, False, image, caption)
    return metric(Evidence(table, None, NO_MOMENTS))["clip_score"]


def theirs(folder: Path, image: Tensor, caption: list[str], **cut: object) -> float:
    """torchmetrics over transformers' own loading of the same folder."""

    class Tensors(transformers.CLIPModel):
        def get_image_features(self, *args):
            return super().get_image_features(*args).pooler_output

        def get_text_features(self, *args):
            return super().get_text_features(*args).pooler_output

    network = Tensors.from_pretrained(folder, local_files_only=True).eval()
    processor = transformers.CLIPProcessor.from_pretrained(folder, local_files_only=True)

    def process(**asked: object) -> object:
        return processor(**asked, **(cut if "text" in asked else {}))

    score = CLIPScore(lambda: (network, process))
    with torch.no_grad():
        score.update(list(image), caption)
    return float(score.compute())


def positive(metric: ClipScore) -> tuple[Tensor, list[str]]:
    """Pairs whose mean is above the floor, chosen from a few."""
    image = images(40)
    captions = (CAPTIONS * 8)[:40]
    kept = [i for i in range(40) if judged(metric, image[i : i + 1], captions[i : i + 1]).value > 0.0]
    return image[kept], [captions[i] for i in kept]


def test_the_score_is_torchmetrics_own(folder: Path, metric: ClipScore) -> None:
    image, captions = positive(metric)
    found = judged(metric, image, captions)
    assert len(image) > 9
    assert found.value > 1.0
    assert found.value == pytest.approx(theirs(folder, image, captions), abs=1e-5)
    grey = images(len(image), channels=1, seed=1)
    expected = theirs(folder, grey.repeat(1, 3, 1, 1), captions)
    assert judged(metric, grey, captions).value == pytest.approx(expected, abs=1e-5)


def test_the_mean_and_its_error_are_those_of_single_scores_and_batches_change_nothing(metric: ClipScore) -> None:
    image, captions = positive(metric)
    each = torch.tensor(
        [judged(metric, image[i : i + 1], captions[i : i + 1]).value for i in range(len(image))], dtype=torch.float64
    )
    found = judged(metric, image, captions)
    assert found.value == pytest.approx(float(each.mean()), abs=1e-4)
    assert found.error == pytest.approx(float(each.std(correction=0)) / math.sqrt(len(each)), abs=1e-4)
    times = 1 + 130 // len(image)  # more than two batches
    many = judged(metric, image.repeat(times, 1, 1, 1), captions * times)
    assert many.value == pytest.approx(found.value, abs=1e-4)
    assert many.error == pytest.approx(found.error / math.sqrt(times), abs=1e-4)


def test_a_negative_mean_is_zero_as_in_torchmetrics(folder: Path, metric: ClipScore) -> None:
    pairs = [(images(1, seed=seed), [caption]) for seed in range(1, 9) for caption in CAPTIONS]
    found = [(judged(metric, *pair).value, theirs(folder, *pair)) for pair in pairs[::5]]
    assert [our for our, _ in found] == pytest.approx([their for _, their in found], abs=1e-5)
    assert 0 < sum(our == 0.0 for our, _ in found) < len(found)
    assert within_range("clip_score", -3.0, 101.0) == [0.0, 100.0]


def test_each_caption_belongs_to_its_own_image(metric: ClipScore) -> None:
    image, captions = positive(metric)
    turned = captions[1:] + captions[:1]
    found, other = judged(metric, image, captions).value, judged(metric, image, turned).value
    own = [judged(metric, image[i : i + 1], [captions[i]]).value for i in range(len(image))]
    order = list(range(len(image)))[::-1]
    assert judged(metric, image[order], [captions[i] for i in order]).value == pytest.approx(found, abs=1e-4)
    assert abs(other - found) > 0.5
    swapped = sum(own[2:])  # the first two images with one another's captions, the others with their own
    swapped += cosine(metric, image[0], captions[1]) + cosine(metric, image[1], captions[0])
    texts = [captions[1], captions[0], *captions[2:]]
    assert judged(metric, image, texts).value == pytest.approx(swapped / len(image), abs=1e-4)


def cosine(metric: ClipScore, image: Tensor, caption: str) -> float:
    """100 times the cosine by transformers alone, which may be negative."""
    read = metric.processor.processor(images=[image], text=[caption], return_tensors="pt")
    with torch.no_grad():
        out = metric.network.network(**read)
    return 100.0 * float((out.image_embeds * out.text_embeds).sum())


def test_long_captions_are_cut_before_their_end_token_with_one_warning(folder: Path, metric: ClipScore) -> None:
    image = images(1).expand(2, -1, -1, -1)
    long = LONG * 40
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        judged(metric, image.repeat(40, 1, 1, 1), long)
    ours = [str(each.message) for each in told if "captions" in str(each.message)]
    assert ours == ["80 of 80 captions are longer than the 24 tokens that clip_score's CLIP reads, and are cut there"]
    for seed in range(3):
        one = images(1, seed=seed)
        for text in LONG:
            with pytest.warns(UserWarning, match="1 of 1 captions"):
                found = judged(metric, one, [text]).value
            assert found == pytest.approx(theirs(folder, one, [text], truncation=True, max_length=LENGTH), abs=1e-5)
    # two long captions have two embeddings, where torchmetrics' own cut leaves them one
    read = metric.processor(text=LONG, return_tensors="pt", padding=True)
    assert read["input_ids"].shape == (2, LENGTH)
    assert read["input_ids"][:, -1].tolist() == [53, 53]
    with torch.no_grad():
        one, two = metric.network.get_text_features(read["input_ids"], read["attention_mask"])
        whole = metric.processor.processor(text=LONG, return_tensors="pt", padding=True)
        cut = metric.network.get_text_features(*(whole[key][:, :LENGTH] for key in ("input_ids", "attention_mask")))
    assert float((one - two).abs().max()) > 0.1
    torch.testing.assert_close(cut[0], cut[1], rtol=0, atol=1e-6)


def test_short_captions_raise_no_warning(metric: ClipScore) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judged(metric, images(2), CAPTIONS[:2])


def test_samples_without_captions_or_pixels_have_no_score(metric: ClipScore) -> None:
    assert judged(metric, images(2), None) == Score(None)
    assert judged(metric, None, ["a"]) == Score(None)
    assert metric.needs_images
    assert metric.needs_captions


def test_the_weights_count_in_the_protocols_hash(folder: Path, metric: ClipScore) -> None:
    assert metric.fingerprint == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    table = ResidentTable(images(6), None, [*CAPTIONS, "a"])
    extractor = Pixels()
    reference = Reference.read(TableSource(table, "train"), extractor)
    captions = {"train": table.caption, "test": table.caption}
    spec = ImageSpec(3, 20, 24, captions=True)
    judge = Judge(spec, Protocol("p", 6, "train"), extractor, {"clip_score": metric}, reference, captions=captions)
    assert judge.fields["metrics"] == {"clip_score": metric.fingerprint}
    other = ClipScore(folder)
    other.fingerprint = "0" * 64
    assert replace(judge, metrics={"clip_score": other}).hash != judge.hash


def test_weights_that_are_missing_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"give metric\.clip_score\.weights a folder .* or leave the metric out"):
        ClipScore()
    with pytest.raises(ConfigError, match=r"metric clip_score: the weights some/where are not here: set metric\.clip"):
        ClipScore("some/where")
    for name, file in (
        ("weights", "model.safetensors"),
        ("image", "processor_config.json"),
        ("text", "tokenizer.json"),
    ):
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / file).unlink()
        torch.save(load_file(folder / "model.safetensors"), tmp_path / name / "pytorch_model.bin")
        with pytest.raises(ConfigError, match=rf"holds no .*{file}.*metric\.clip_score\.weights"):
            ClipScore(tmp_path / name)
    shutil.copytree(folder, tmp_path / "torn")
    (tmp_path / "torn" / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match=r"the processor in .*torn cannot be read"):
        ClipScore(tmp_path / "torn")


def test_the_layout_of_openais_repositories_is_read_from_the_cache(
    folder: Path, metric: ClipScore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--openai--tiny"
    kept = repository / "snapshots" / ("a" * 40)
    shutil.copytree(folder, kept)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("processor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (kept / name).unlink()
    with pytest.raises(ConfigError, match=r"metric\.clip_score\.download=true with the name of a repository"):
        ClipScore("openai/tiny")
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (kept / "vocab.json").write_text(json.dumps(vocabulary))
    (kept / "merges.txt").write_text("#version: 0.2\n")
    old = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 16, "crop_size": 16, "resample": 3}
    (kept / "preprocessor_config.json").write_text(json.dumps(old))
    image, captions = positive(metric)
    assert judged(ClipScore("openai/tiny"), image, captions) == judged(metric, image, captions)


def test_weights_of_another_sum_or_network_are_refused(folder: Path, metric: ClipScore, tmp_path: Path) -> None:
    found = metric.fingerprint
    assert ClipScore(folder, sha256=found[:8]).fingerprint == found
    with pytest.raises(ConfigError, match=rf"has sha256 {found}, expected 00000000: .*metric\.clip_score\.sha256"):
        ClipScore(folder, sha256="0" * 8)
    shutil.copytree(folder, tmp_path / "clip")
    weights = tmp_path / "clip" / "model.safetensors"
    weights.write_bytes(b"not safetensors")
    with pytest.raises(ConfigError, match="expected"):  # told of the sum before the file is parsed
        ClipScore(tmp_path / "clip", sha256=found)
    state = load_file(folder / "model.safetensors")
    save_file({key: value for key, value in state.items() if key != "text_projection.weight"}, weights)
    with pytest.raises(ConfigError, match=r"metric clip_score: .* does not fill the network .*text_projection"):
        ClipScore(tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "clip" / "config.json").write_text(json.dumps(config | {"model_type": "siglip"}))
    with pytest.raises(ConfigError, match=r"describes a siglip, expected clip: give metric\.clip_score\.weights"):
        ClipScore(tmp_path / "clip")
