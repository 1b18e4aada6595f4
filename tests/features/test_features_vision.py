"""DINOv2 and CLIP from folders in Hugging Face's layout, with tiny random weights that the tests save."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from genbench.core import ConfigError, DataError, ImageSpec
from genbench.features import CLIP, DINOv2
from genbench.features.vision import HuggingFaceVision, resize

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SHARP = {"initializer_range": 0.5}  # so that features differ from image to image


def image(channels: int = 3, side: int = 40) -> Tensor:
    """Uint8 [3,channels,side,side] noise."""
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (3, channels, side, side), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny DINOv2, the image half of a tiny CLIP, and a whole tiny CLIP."""
    root = tmp_path_factory.mktemp("vision")
    vision = {**SMALL, **SHARP, "intermediate_size": 64, "patch_size": 8, "image_size": 48, "projection_dim": 16}
    text = {**SMALL, "intermediate_size": 32, "vocab_size": 99}
    dino = transformers.Dinov2Config(**SMALL, **SHARP, patch_size=14, image_size=98)
    whole = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=16)
    torch.manual_seed(0)
    for name, network in (
        ("dinov2", transformers.Dinov2Model(dino)),
        ("clip", transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**vision))),
        ("whole", transformers.CLIPModel(whole)),
    ):
        network.save_pretrained(root / name)
    return {folder.name: folder for folder in root.iterdir()}


@pytest.mark.parametrize(("side", "to"), [(28, 224), (32, 224), (300, 224), (64, 336)])
def test_images_are_resized_as_pillow_does(side: int, to: int) -> None:
    found = resize(image(side=side)[:1], to)
    with Image.fromarray(image(side=side)[0].permute(1, 2, 0).numpy()) as picture:
        expected = np.array(picture.resize((to, to), Image.Resampling.BICUBIC))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found[0].permute(1, 2, 0).numpy(), expected)


def processed(processor: object, batch: Tensor) -> Tensor:
    pictures = [Image.fromarray(one.permute(1, 2, 0).numpy()) for one in batch]
    return processor(pictures, return_tensors="pt")["pixel_values"]


@pytest.mark.parametrize("side", [40, 300])
def test_dinov2_is_transformers_own(folders: dict[str, Path], side: int) -> None:
    square = {"height": 224, "width": 224}
    processor = transformers.BitImageProcessorPil(
        size=square, do_center_crop=False, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    pixels = processed(processor, image(side=side))
    network = transformers.Dinov2Model.from_pretrained(folders["dinov2"], local_files_only=True).eval()
    with torch.no_grad():
        expected = network(pixel_values=pixels).pooler_output
    ours = DINOv2(folders["dinov2"])
    torch.testing.assert_close(ours.pixels(image(side=side)), pixels, rtol=0, atol=1e-6)
    found = ours(image(side=side))
    torch.testing.assert_close(found["features"], expected, rtol=1e-5, atol=1e-5)
    assert float(expected.std(0).min()) > 1e-3
    assert found["logits"].shape == (3, 0)
    assert (found["features"].dtype, tuple(found["features"].shape)) == (torch.float32, (3, 32))


@pytest.mark.parametrize("name", ["clip", "whole"])
@pytest.mark.parametrize("side", [40, 60])
def test_clip_is_transformers_own(folders: dict[str, Path], name: str, side: int) -> None:
    processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})
    pixels = processed(processor, image(side=side))
    network = transformers.AutoModel.from_pretrained(folders[name], local_files_only=True).eval()
    if name == "clip":
        network = transformers.CLIPVisionModelWithProjection.from_pretrained(folders[name]).eval()
    with torch.no_grad():
        if name == "whole":
            expected = network.visual_projection(network.vision_model(pixel_values=pixels).pooler_output)
        else:
            expected = network(pixel_values=pixels).image_embeds
    ours = CLIP(folders[name])
    torch.testing.assert_close(ours.pixels(image(side=side)), pixels, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours(image(side=side))["features"], expected, rtol=1e-5, atol=1e-5)
    assert float(expected.std(0).min()) > 1e-4


@pytest.mark.parametrize(("kind", "name"), [(DINOv2, "dinov2"), (CLIP, "clip")])
def test_identity_grey_and_batches(folders: dict[str, Path], kind: type[HuggingFaceVision], name: str) -> None:
    extractor = kind(folders[name])
    content = (folders[name] / "model.safetensors").read_bytes()
    assert extractor.fingerprint == hashlib.sha256(content).hexdigest()
    assert (extractor.name, extractor.classifies) == (name, False)
    assert not any(p.requires_grad for p in extractor.parameters())
    assert not any(module.training for module in extractor.modules())
    extractor.check(ImageSpec(1, 8, 8))
    grey = image(channels=1)
    whole = extractor(grey)["features"]
    torch.testing.assert_close(whole, extractor(grey.repeat(1, 3, 1, 1))["features"], rtol=0, atol=0)
    alone = torch.cat([extractor(one[None])["features"] for one in grey])
    torch.testing.assert_close(alone, whole, rtol=1e-5, atol=1e-5)
    for wrong in (grey.float(), grey[0], grey.repeat(1, 2, 1, 1)):
        with pytest.raises(DataError, match=f"features={name} judges uint8 images"):
            extractor(wrong)


def test_what_the_weights_do_not_show_is_part_of_the_identity(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["dinov2"], tmp_path / "other")
    config = json.loads((tmp_path / "other/config.json").read_text())
    (tmp_path / "other/config.json").write_text(json.dumps(config | {"num_attention_heads": 4}))
    one, other = DINOv2(folders["dinov2"]), DINOv2(tmp_path / "other")
    assert one.fingerprint == other.fingerprint
    assert one.identity() != other.identity()
    assert not torch.allclose(one(image())["features"], other(image())["features"])


def test_the_sum_is_checked(folders: dict[str, Path], tmp_path: Path) -> None:
    found = DINOv2(folders["dinov2"]).fingerprint
    assert DINOv2(folders["dinov2"], sha256=found[:8].upper()).fingerprint == found
    for wrong in ("0" * 64, found[:7]):
        with pytest.raises(ConfigError, match=f"has sha256 {found}, expected {wrong}: .*features.sha256"):
            DINOv2(folders["dinov2"], sha256=wrong)
    shutil.copytree(folders["dinov2"], tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(ConfigError, match="expected"):
        DINOv2(tmp_path / "cut", sha256=found)
    with pytest.raises(ConfigError, match="is not a whole safetensors file"):
        DINOv2(tmp_path / "cut")


def test_weights_that_do_not_fill_the_network_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    state = load_file(folders["dinov2"] / "model.safetensors")
    first = next(iter(state))
    for name, changed in (
        ("missing", {key: value for key, value in state.items() if key != first}),
        ("another", load_file(folders["clip"] / "model.safetensors")),
        ("resized", state | {"layernorm.weight": torch.ones(5)}),
    ):
        shutil.copytree(folders["dinov2"], tmp_path / name)
        save_file(changed, tmp_path / name / "model.safetensors")
        with pytest.raises(ConfigError, match="does not fill the network") as refused:
            DINOv2(tmp_path / name)
        assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="describes a dinov2, expected clip or clip_vision_model"):
        CLIP(folders["dinov2"])


def test_pickled_weights_are_never_read(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copy(folders["dinov2"] / "config.json", tmp_path)
    torch.save(load_file(folders["dinov2"] / "model.safetensors"), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"holds no model\.safetensors: .*\.bin files are never read"):
        DINOv2(tmp_path)


def test_the_network_is_asked_only_where_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(name: str, file: str, local_files_only: bool) -> str:
        if local_files_only:
            raise FileNotFoundError(file)
        asked.append((name, file))
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    with pytest.raises(ConfigError, match=r"facebook/dinov2-large are not here: set features\.weights.*download=true"):
        DINOv2()
    with pytest.raises(ConfigError, match="some/where are not here"):
        CLIP("some/where")
    assert asked == []
    with pytest.raises(ConfigError, match=r"cannot be downloaded \(ConnectionError: no route to host\)"):
        CLIP(download=True)
    assert asked == [("openai/clip-vit-large-patch14-336", "model.safetensors")]


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    for kind in (DINOv2, CLIP):
        with pytest.raises(ConfigError, match=r"needs transformers: pip install 'genbench\[vision\]'"):
            kind(tmp_path)
