"""Folders of diffusers' unconditional pipelines: a run as one, and one as a run."""

from __future__ import annotations

import importlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from genbench.core import ConfigError, GenerativeModel, ImageSpec
from genbench.diffusion.objectives import X0, Epsilon, V
from genbench.diffusion.samplers import DDIM, DDPM
from genbench.diffusion.samplers.library import betas
from genbench.diffusion.schedules import VariancePreserving
from genbench.families.diffusion import Diffusion
from genbench.networks.unet2d import DiffusersUNet

PREDICTIONS = {"epsilon": Epsilon, "sample": X0, "v_prediction": V}
"""What diffusers calls the objectives that its unconditional pipelines know."""
WEIGHTS = "diffusion_pytorch_model.safetensors"


def write_pipeline(model: GenerativeModel, out: Path) -> str:
    """Writes a model as a folder for `DDPMPipeline` or `DDIMPipeline`; gives the call that draws its samples.

    The embedding of an unconditional model goes into the last bias of the features of time, and the schedule into
    `trained_betas`; the folder appears complete or not at all.

    Raises:
        ConfigError: a model that these pipelines cannot draw from, with what to choose instead.
    """
    kept, sampler, prediction = _exportable(model)
    backbone = kept.backbone
    assert isinstance(backbone, DiffusersUNet)
    diffusers: Any = importlib.import_module("diffusers")  # here because it takes seconds
    unet = diffusers.UNet2DModel.from_config({**backbone.unet.config, "class_embed_type": None})
    unet.load_state_dict(backbone.unet.state_dict())
    with torch.no_grad():
        unet.time_embedding.linear_2.bias += kept.label(None, 1)[0]
    settings = {
        "num_train_timesteps": backbone.steps,
        "trained_betas": betas(kept.schedule, backbone.steps).tolist(),
        "prediction_type": prediction,
        "clip_sample": sampler.clip == "static",
        "timestep_spacing": "trailing",
    }
    if isinstance(sampler, DDIM):
        pipeline = diffusers.DDIMPipeline(unet, diffusers.DDIMScheduler(**settings))
        call = f"num_inference_steps={sampler.steps}, eta={sampler.eta:g}, use_clipped_model_output=True"
    else:
        scheduler = diffusers.DDPMScheduler(**settings, variance_type=f"fixed_{sampler.variance}")
        pipeline = diffusers.DDPMPipeline(unet, scheduler)
        call = f"num_inference_steps={sampler.steps}"
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        pipeline.save_pretrained(partial)
        partial.chmod(0o755)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return f"{type(pipeline).__name__}.from_pretrained({str(out)!r})({call})"


def _exportable(model: GenerativeModel) -> tuple[Diffusion, DDIM | DDPM, str]:
    what = "format=diffusers holds unconditional diffusion of pixels by a U-Net of diffusers"
    if not isinstance(model, Diffusion) or model.first_stage is not None:
        raise ConfigError(f"{what}: give a run of model=ddpm first_stage=none")
    if model.conditional:
        raise ConfigError(f"{what}, whose pipelines take no labels: train with model.conditional=false")
    if not isinstance(model.backbone, DiffusersUNet):
        raise ConfigError(f"{what}: train with backbone=unet2d_digits, unet2d_28, ddpm_cifar10 or edm_cifar10")
    if not isinstance(model.schedule, VariancePreserving):
        raise ConfigError(f"{what}, whose schedules preserve variance: train with scheduler=linear, cosine or sigmoid")
    names = [name for name, objective in PREDICTIONS.items() if type(model.objective) is objective]
    if not names:
        raise ConfigError(f"{what}, which predicts noise, image or v: train with objective=epsilon, x0 or v")
    sampler = model.sampler
    if sampler.guidance != 1.0:
        raise ConfigError(
            f"sampler.guidance={sampler.guidance:g} would be lost in a pipeline: give sampler.guidance=1 "
            "sampler.guidance_run=null"
        )
    if not isinstance(sampler, DDIM | DDPM) or sampler.grid != "uniform" or sampler.clip == "dynamic":
        raise ConfigError(
            "diffusers' unconditional pipelines draw by DDIM or DDPM, at even times, clipped to [-1,1] or not at all: "
            "give sampler=ddim or sampler=ddpm, grid=uniform and clip=static or none"
        )
    if isinstance(sampler, DDPM) and sampler.variance == "large" and sampler.steps < model.backbone.steps:
        raise ConfigError(
            f"diffusers leaves noise in the last of sampler.steps={sampler.steps} steps of large variance: give "
            f"sampler.variance=small, or sampler.steps={model.backbone.steps}"
        )
    for steps in (model.backbone.steps, model.schedule.steps or model.backbone.steps):
        if steps % sampler.steps:
            raise ConfigError(
                f"sampler.steps={sampler.steps} does not divide {steps}, the times there: give one that does"
            )
    return model, sampler, names[0]


class Pipeline:
    """A folder that diffusers wrote of an unconditional pipeline, as parts of ours; only safetensors are read.

    Raises:
        ConfigError: files that are missing, or a pipeline that we have no equal of.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise ConfigError(f"folder={folder} is no folder: give one that save_pretrained wrote")
        # published folders of the first versions have all files at the top
        unet, scheduler = (folder / name if (folder / name).is_dir() else folder for name in ("unet", "scheduler"))
        self._expect(self._read(folder / "model_index.json"), "_class_name", "DDPMPipeline", "DDIMPipeline")
        self.network = self._read(unet / "config.json")
        self._expect(self.network, "_class_name", "UNet2DModel")
        if self.network.get("class_embed_type") or self.network.get("num_class_embeds"):
            raise ConfigError(f"{unet} takes labels: only unconditional networks can be imported")
        self._expect(self.network, "time_embedding_type", "positional", default="positional")
        self.settings = self._read(scheduler / "scheduler_config.json")
        self._expect(self.settings, "_class_name", "DDPMScheduler", "DDIMScheduler")
        self._expect(self.settings, "prediction_type", *PREDICTIONS, default="epsilon")
        self._expect(self.settings, "thresholding", False, default=False)
        self._expect(self.settings, "clip_sample_range", 1.0, default=1.0)
        self._expect(self.settings, "set_alpha_to_one", True, default=True)
        self._expect(self.settings, "rescale_betas_zero_snr", False, default=False)
        self._expect(self.settings, "variance_type", "fixed_small", "fixed_large", default="fixed_small")
        self.weights = unet / WEIGHTS
        if not self.weights.is_file():
            raise ConfigError(f"{self.weights} is missing: save the pipeline with safe_serialization=True")
        try:
            kind: Any = importlib.import_module("diffusers").UNet2DModel
            self.unet = kind.from_pretrained(unet, use_safetensors=True, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"{self.weights} cannot be read as its config.json says: {error}") from error

    def parts(self, spec: ImageSpec) -> dict[str, Any]:
        """Config nodes of the model for images of `spec`.

        Raises:
            ConfigError: the pipeline draws other images.
        """
        size = self.network["sample_size"]
        shape = (self.network["in_channels"], *((size, size) if isinstance(size, int) else size))
        if shape != spec.shape:
            raise ConfigError(
                f"folder={self.folder} draws images of {shape}, but the data have {spec.shape} (channels, height, "
                "width): give data of its shape"
            )
        steps, ddim = len(self.betas), self.settings["_class_name"] == "DDIMScheduler"
        clip = "static" if self.settings.get("clip_sample", True) else "none"
        variance = self.settings.get("variance_type", "fixed_small").removeprefix("fixed_")
        sampler = {"steps": 50} if ddim else {"steps": steps, "variance": variance}
        network = {key: value for key, value in self.network.items() if not key.startswith("_")}
        groups = {
            "scheduler": _node("diffusion.schedules.Betas", betas=self.betas),
            "objective": _node(
                f"diffusion.objectives.{PREDICTIONS[self.settings.get('prediction_type', 'epsilon')].__name__}"
            ),
            "weighting": _node("diffusion.weightings.Uniform"),
            "times": _node("diffusion.times.Uniform"),
            "sampler": _node(f"diffusion.samplers.{'DDIM' if ddim else 'DDPM'}", **sampler, clip=clip),
            "likelihood": _node("diffusion.likelihoods.VariationalBound"),
            "backbone": _node("networks.unet2d.DiffusersUNet", config=network, steps=steps),
        }
        parts = {"schedule" if name == "scheduler" else name: node for name, node in groups.items()}
        model = _node("families.diffusion.Diffusion", **parts, conditional=False, label_dropout=0.0)
        return {**groups, "model": model}

    @property
    def betas(self) -> list[float]:
        """The variances of the steps forward, as diffusers computes them from the folder's settings."""
        kind = getattr(importlib.import_module("diffusers"), self.settings["_class_name"])
        found: list[float] = kind.from_config(self.settings).betas.double().tolist()
        return found

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            raise ConfigError(f"{path} is missing: give a folder that save_pretrained of a pipeline wrote") from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise ConfigError(f"{path} cannot be read: expected an object")
        return found

    def _expect(self, config: dict[str, Any], key: str, *allowed: Any, default: Any = None) -> None:
        if (value := config.get(key, default)) not in allowed:
            raise ConfigError(
                f"folder={self.folder} has {key.lstrip('_')} {value}, of which there is no equal here: expected "
                f"{' or '.join(map(str, allowed))}"
            )


def _node(target: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"genbench.{target}", **arguments}
