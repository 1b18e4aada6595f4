"""First stages: the latents of a run or of diffusers' autoencoder, kept once; what cannot be one."""

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_runs import LATENT, Train, command, digest

from genbench.app import first_stage
from genbench.app.build import load_model
from genbench.app.first_stage import DiffusersStage, TrainedStage, latents
from genbench.core import Batch, Condition, ConfigError, FirstStage, ImageSpec, RunError
from genbench.core.pixels import to_float
from genbench.data.digits import Digits
from genbench.families.vae import VAE
from genbench.features.files import sha256_of

DIGITS = Digits().spec


def some(spec: ImageSpec = DIGITS) -> tuple[torch.Tensor, Condition]:
    torch.manual_seed(0)
    return torch.rand(4, *spec.shape) * 2 - 1, Condition(torch.tensor([1, 2, 3, 4]))


@pytest.fixture
def vae(finished: Train) -> str:
    return str(finished("vae").path)


def kl_folder(folder: Path) -> str:
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    AutoencoderKL(1, 1, **blocks, block_out_channels=(8, 8), latent_channels=3, norm_num_groups=4).save_pretrained(
        folder
    )
    return str(folder)


def test_a_runs_latents_are_its_posterior_means_and_decode_to_its_images(vae: str, finished: Train) -> None:
    stage, (image, condition) = TrainedStage(vae, DIGITS), some()
    assert stage.latent == ImageSpec(16, 1, 1, num_classes=10)
    model = load_model(finished("vae"))
    assert isinstance(model, VAE)
    label = model.label(condition.label, 4)
    with torch.no_grad():
        mean = model.encoder(image, label)[:, :16]
        torch.testing.assert_close(stage.to_latent(image, condition).flatten(1), mean)
        torch.testing.assert_close(stage.from_latent(mean[..., None, None], condition), model.pixels(mean, label)[0])


def test_diffusers_autoencoder_is_used_as_diffusers_does(tmp_path: Path) -> None:
    from diffusers import AutoencoderKL

    folder = kl_folder(tmp_path)
    stage, (image, condition) = DiffusersStage(folder, DIGITS), some()
    network = AutoencoderKL.from_pretrained(folder)
    assert stage.latent == ImageSpec(3, 4, 4, num_classes=10)
    with torch.no_grad():
        latent = network.encode(image).latent_dist.mean
        torch.testing.assert_close(stage.to_latent(image, condition), latent)
        torch.testing.assert_close(stage.from_latent(latent, condition), network.decode(latent).sample)


def test_latents_are_scaled_on_the_way_in_and_back_on_the_way_out(vae: str) -> None:
    plain, scaled, (image, condition) = TrainedStage(vae, DIGITS), TrainedStage(vae, DIGITS, scale=4.0), some()
    batch = Batch(image, condition.label, None, torch.arange(4))
    torch.testing.assert_close(scaled.encode(batch), 4.0 * plain.encode(batch))
    latent = plain.encode(batch)
    torch.testing.assert_close(scaled.decode(4.0 * latent, condition), plain.decode(latent, condition))


def test_remembered_latents_are_those_of_the_images(vae: str) -> None:
    stage, table = TrainedStage(vae, DIGITS), Digits().table("train")
    indices = torch.tensor([700, 3, 1400])
    images = table.take(indices.tolist())
    batch = Batch(to_float(images.image, DIGITS.levels), images.label, None, indices)
    encoded = stage.encode(batch)
    stage.remember(latents(stage, Digits()))
    torch.testing.assert_close(stage.encode(batch), encoded)


def test_latents_are_encoded_once(vae: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = latents(TrainedStage(vae, DIGITS), Digits())
    assert first.shape == (len(Digits().table("train")), 16, 1, 1)
    monkeypatch.setattr(TrainedStage, "to_latent", None)
    assert torch.equal(latents(TrainedStage(vae, DIGITS), Digits()), first)


def test_no_weight_of_a_first_stage_learns(vae: str, tmp_path: Path) -> None:
    for stage, image in (
        (TrainedStage(vae, DIGITS), some()[0]),
        (DiffusersStage(kl_folder(tmp_path), DIGITS), some()[0]),
    ):
        assert isinstance(stage, FirstStage)
        assert not stage.to_latent(image, some()[1]).requires_grad


@pytest.mark.parametrize(
    ("family", "spec", "named"),
    [
        (
            "vae",
            ImageSpec(1, 28, 28, 10),
            r"encodes images of \(1, 8, 8\) and 10 classes, but the data have \(1, 28, 28\)",
        ),
        ("vae", ImageSpec(1, 8, 8, 3), "and 3: give a run that was trained on them"),
        ("dcgan", DIGITS, "is no autoencoder: give a run of model=vae"),
    ],
)
def test_runs_that_cannot_be_a_first_stage_are_refused(
    family: str, spec: ImageSpec, named: str, finished: Train
) -> None:
    with pytest.raises(ConfigError, match=named):
        TrainedStage(str(finished(family).path), spec)


def test_missing_and_changed_first_stages_are_refused(vae: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"first_stage\.run=nowhere cannot be used: no run folder"):
        TrainedStage("nowhere", DIGITS)
    with pytest.raises(ConfigError, match=r"not the one that was trained with .* put that one back"):
        TrainedStage(vae, DIGITS, sha256="0" * 64)
    with pytest.raises(
        ConfigError, match=r"has no diffusion_pytorch_model\.safetensors: give what save_pretrained wrote"
    ):
        DiffusersStage(str(tmp_path), DIGITS)
    folder = kl_folder(tmp_path)
    with pytest.raises(ConfigError, match="1 channels and sides divisible by 2, but the data have 3 and 7x7"):
        DiffusersStage(folder, ImageSpec(3, 7, 7))
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("AutoencoderKL", "VQModel"))
    with pytest.raises(ConfigError, match="holds a VQModel: give one of AutoencoderKL"):
        DiffusersStage(folder, DIGITS)


def test_diffusion_learns_latents_and_draws_images(vae: str, tiny: Train) -> None:
    run = tiny("ddpm", *LATENT, f"first_stage.run={vae}")
    kept = run.config.first_stage
    assert kept.scale * float(latents(TrainedStage(vae, DIGITS), Digits()).std()) == pytest.approx(1.0)
    assert kept.latent == run.config.backbone.spec
    assert not any("encoder" in name for name in load_file(run.weights))
    command("sample", f"run={run.path}", "n=4")
    assert np.load(run.samples / "n4_seed0.npz")["arr_0"].shape == (4, 8, 8, 1)


def test_a_first_stage_counts_by_its_weights_wherever_they_lie(vae: str, tiny: Train, tmp_path: Path) -> None:
    run = tiny("ddpm", *LATENT, f"first_stage.run={vae}")
    moved = shutil.copytree(vae, tmp_path / "moved")
    assert tiny("ddpm", *LATENT, f"first_stage.run={moved}").config.first_stage.run == vae
    there = run.config.first_stage.sha256
    weights = Path(moved) / "weights.safetensors"
    save_file({name: 2.0 * value for name, value in load_file(weights).items()}, weights)
    with pytest.raises(RunError, match=rf"first_stage\.sha256: {there} there, {sha256_of(weights)} here"):
        tiny("ddpm", *LATENT, f"first_stage.run={moved}")


def test_a_run_goes_on_where_latents_come_out_otherwise_in_their_last_digits(
    vae: str, tiny: Train, unplug: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another kind of device: the scale of before is kept, whatever is measured."""
    overrides = (*LATENT, f"first_stage.run={vae}", "training.checkpoint_every=128")
    straight = tiny("ddpm", *overrides, folder="straight")
    unplug(1, "ddpm", *overrides)
    other = itertools.chain([1.0 + 2.0**-20], itertools.repeat(1.0))  # in the measuring, and not in the training
    monkeypatch.setattr(first_stage, "latents", lambda stage, dataset: latents(stage, dataset) * next(other))
    assert digest(tiny("ddpm", *overrides).weights) == digest(straight.weights)


@pytest.mark.parametrize("damaged", ["config.json", "diffusion_pytorch_model.safetensors"])
def test_a_damaged_autoencoder_is_told_in_one_line(damaged: str, tmp_path: Path) -> None:
    folder = Path(kl_folder(tmp_path))
    (folder / damaged).write_text('{"_class_name"')
    with pytest.raises(ConfigError, match=rf"^first_stage\.folder={folder} cannot be used: .+") as refused:
        DiffusersStage(str(folder), DIGITS)
    assert "\n" not in str(refused.value)


def test_an_autoencoder_of_another_config_is_another(tmp_path: Path) -> None:
    folder = Path(kl_folder(tmp_path))
    config = folder / "config.json"
    settings, before = json.loads(config.read_text()), DiffusersStage(str(folder), DIGITS).sha256
    # who wrote it says nothing of what it does; what its layers compute does
    config.write_text(json.dumps(settings | {"_diffusers_version": "0.1.0"}))
    assert DiffusersStage(str(folder), DIGITS).sha256 == before
    config.write_text(json.dumps(settings | {"act_fn": "gelu"}))
    assert DiffusersStage(str(folder), DIGITS).sha256 != before


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("data.flip=true",), r"latents are kept .* use data\.flip=false"),
        (("sampler.clip=static",), r"latents have no range: use sampler\.clip=none"),
        (("objective=learned_variance", "backbone.outputs=2"), "not of latents: use objective=epsilon"),
        (("first_stage.run=nowhere",), r"first_stage\.run=.*nowhere cannot be used"),
    ],
)
def test_choices_that_do_not_go_with_latents_are_refused(
    overrides: tuple[str, ...], named: str, vae: str, tiny: Train
) -> None:
    with pytest.raises(ConfigError, match=named):
        tiny("ddpm", *LATENT, f"first_stage.run={vae}", *overrides)


def test_a_model_of_pixels_has_no_use_for_a_first_stage(vae: str, tiny: Train) -> None:
    with pytest.raises(ConfigError, match=r"model=vae has no use for first_stage=run: drop it, or use model=ddpm"):
        tiny("vae", "first_stage=run", f"first_stage.run={vae}")
