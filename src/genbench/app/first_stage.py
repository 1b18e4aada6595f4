"""First stages from where they were trained: another run, or a folder of diffusers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, open_dict
from safetensors import SafetensorError
from torch import Tensor, nn
from tqdm import tqdm

from genbench.app.build import build, load_model, resolve
from genbench.app.device import pick_device
from genbench.app.kept import kept_config
from genbench.app.paths import cache_dir
from genbench.core import Autoencoder, Condition, ConfigError, FirstStage, GenbenchError, GenerativeModel, ImageSpec
from genbench.core.errors import first_line
from genbench.core.pixels import to_float
from genbench.data.dataset import ImageDataset
from genbench.evaluation.ranks import from_first
from genbench.evaluation.store import Chunk, ChunkStore
from genbench.families.diffusion import Diffusion
from genbench.features.files import sha256_of
from genbench.run import Run

CHUNK = 250


class TrainedStage(FirstStage):
    """The autoencoder of a finished run, such as a VAE's, whose labels it is given where it was trained with them.

    Raises:
        ConfigError: a run that is missing, unfinished, no autoencoder, or of other images than `spec` says.
    """

    def __init__(
        self,
        run: str,
        spec: ImageSpec,
        latent: ImageSpec | None = None,
        scale: float | None = None,
        sha256: str | None = None,
    ) -> None:
        try:
            source = Run.open(run)
            model = load_model(source)
        except GenbenchError as error:
            raise ConfigError(f"first_stage.run={run} cannot be used: {error}") from error
        if not isinstance(model, Autoencoder):
            raise ConfigError(f"first_stage.run={run} is no autoencoder: give a run of model=vae")
        if model.spec.shape != spec.shape or (model.conditional and model.spec.num_classes != spec.num_classes):
            raise ConfigError(
                f"first_stage.run={run} encodes images of {model.spec.shape} and {model.spec.num_classes} classes, but "
                f"the data have {spec.shape} and {spec.num_classes}: give a run that was trained on them"
            )
        found = latent_spec(model.latent_shape, spec)
        super().__init__(found, sha256_of(source.weights_of("ema")), latent, scale, sha256)
        self.autoencoder: Any = model.requires_grad_(False)

    def to_latent(self, image: Tensor, condition: Condition) -> Tensor:
        latent: Tensor = self.autoencoder.to(image.device).encode(image, condition)
        return latent

    def from_latent(self, latent: Tensor, condition: Condition) -> Tensor:
        image: Tensor = self.autoencoder.to(latent.device).decode(latent, condition)
        return image


class DiffusersStage(FirstStage):
    """An `AutoencoderKL` in a folder that diffusers wrote; it takes any size that its halvings divide.

    Raises:
        ConfigError: a folder that is missing or of another class, or images it cannot encode.
    """

    def __init__(
        self,
        folder: str,
        spec: ImageSpec,
        latent: ImageSpec | None = None,
        scale: float | None = None,
        sha256: str | None = None,
    ) -> None:
        # here because the import takes seconds
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        weights = Path(folder) / "diffusion_pytorch_model.safetensors"
        if not weights.is_file():
            raise ConfigError(f"first_stage.folder={folder} has no {weights.name}: give what save_pretrained wrote")
        try:
            settings = AutoencoderKL.load_config(folder)
        except OSError as error:
            raise ConfigError(f"first_stage.folder={folder} cannot be used: {first_line(error)}") from error
        said = settings.get("_class_name")
        if said != AutoencoderKL.__name__:
            raise ConfigError(f"first_stage.folder={folder} holds a {said}: give one of AutoencoderKL")
        try:
            network = AutoencoderKL.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise ConfigError(f"first_stage.folder={folder} cannot be used: {first_line(error)}") from error
        channels, factor = network.config["in_channels"], 2 ** (len(network.config["block_out_channels"]) - 1)
        if spec.channels != channels or spec.height % factor or spec.width % factor:
            raise ConfigError(
                f"first_stage.folder={folder} encodes images of {channels} channels and sides divisible by {factor}, "
                f"but the data have {spec.channels} and {spec.height}x{spec.width}: give another, or resize the data"
            )
        shape = (network.config["latent_channels"], spec.height // factor, spec.width // factor)
        super().__init__(latent_spec(shape, spec), _sha256(settings, weights), latent, scale, sha256)
        self.network: nn.Module = network.eval().requires_grad_(False)

    def to_latent(self, image: Tensor, condition: Condition) -> Tensor:
        latent: Tensor = self.network.to(image.device).encode(image).latent_dist.mode()  # type: ignore[operator]
        return latent

    def from_latent(self, latent: Tensor, condition: Condition) -> Tensor:
        image: Tensor = self.network.to(latent.device).decode(latent).sample  # type: ignore[operator]
        return image


def _sha256(settings: Mapping[str, Any], weights: Path) -> str:
    """Of what decides an autoencoder of diffusers: its weights, and its config but for who wrote it."""
    own = {key: value for key, value in settings.items() if not key.startswith("_")}
    return hashlib.sha256(f"{json.dumps(own, sort_keys=True)}{sha256_of(weights)}".encode()).hexdigest()


def latent_spec(shape: tuple[int, int, int], spec: ImageSpec) -> ImageSpec:
    """Latents of a shape (c, h, w), of the images' classes."""
    return ImageSpec(*shape, num_classes=spec.num_classes)


def settle_first_stage(config: DictConfig, dataset: ImageDataset) -> dict[str, Any]:
    """The resolved config with what a first stage is found to be filled in: its latents, their scale, its sha256.

    Raises:
        ConfigError: a first stage that does not fit the data, or data that are mirrored at random.
    """
    if config.first_stage is None:
        return resolve(config)
    if dataset.flip:
        raise ConfigError("latents are kept of the images as they are, not mirrored: use data.flip=false")
    place = next(key for key in ("run", "folder") if key in config.first_stage)
    config.first_stage[place] = str(Path(config.first_stage[place]).expanduser().absolute())
    stage: FirstStage = build(resolve(config)["first_stage"])
    deviation = float(latents(stage, dataset).std())
    with open_dict(config):
        config.first_stage.latent = {"_target_": "genbench.core.ImageSpec", **asdict(stage.latent)}
        config.first_stage.scale, config.first_stage.sha256 = 1.0 / deviation, stage.sha256
    return resolve(config)


def settle_scale(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The config with the latents' scale that the run folder keeps or, in a new run, the first process measured.

    Raises:
        RunError: the folder holds another experiment.
    """
    stage = config["first_stage"]
    if stage is None:
        return config

    def scale() -> float:
        kept = kept_config(config, folder)
        return float(stage["scale"] if kept is None else kept.first_stage.scale)

    # latents that another process or kind of device encodes have another deviation in its last digits
    settled = stage | {"scale": from_first("look for the scale measured before", scale)}
    return config | {"first_stage": settled, "model": config["model"] | {"first_stage": settled}}


def remember_latents(model: GenerativeModel, dataset: ImageDataset) -> None:
    """Gives a model with a first stage the latents that it is trained on."""
    if isinstance(model, Diffusion) and model.first_stage is not None:
        model.first_stage.remember(latents(model.first_stage, dataset))


@torch.no_grad()
def latents(stage: FirstStage, dataset: ImageDataset) -> Tensor:
    """The latents [N,c,h,w] of the training images, encoded once and kept in the cache."""
    table, device = dataset.table("train"), pick_device("auto")
    store = ChunkStore(cache_dir() / "latents", {"first_stage": stage.sha256, "images": table.fingerprint()})
    found = []
    for start in tqdm(range(0, len(table), CHUNK), desc="encoding", unit_scale=CHUNK, unit="img", leave=False):
        indices = range(start, min(start + CHUNK, len(table)))
        chunk = store.get({}, 0, indices)
        if chunk is None:
            images = table.take(indices).to(device)
            image = to_float(images.image, dataset.spec.levels)
            chunk = Chunk({"latent": stage.to_latent(image, Condition(images.label, images.caption)).cpu()})
            store.put({}, 0, indices, chunk)
        found.append(chunk.tensors["latent"])
    return torch.cat(found)
