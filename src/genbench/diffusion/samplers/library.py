"""Samplers of the diffusers library."""

import importlib
import inspect
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from genbench.core import ConfigError, Count, Noise
from genbench.diffusion.denoiser import Denoiser
from genbench.diffusion.samplers.base import FixedSteps
from genbench.diffusion.schedules import NoiseSchedule, RectifiedPath, VariancePreserving

FLOW = "FlowMatchEulerDiscreteScheduler"
VARIANCE_PRESERVING = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LMSDiscreteScheduler",
    "SASolverScheduler",
    "UniPCMultistepScheduler",
)
"""Those that bring a Gaussian with its exact denoiser to its mean and deviation; the others are made for models
distilled, inverted or trained in other ways, or diverge on the cosine schedule (PNDM)."""


@dataclass(eq=False)
class DiffusersSampler(FixedSteps):
    """A scheduler of diffusers by the name of its class, made afresh for every batch; `options` are its arguments.

    It is given our schedule as `trained_betas`, because each class has betas of its own by default, and trailing
    timesteps, because leading ones never see the noisiest; our clipping replaces its own.
    """

    order: ClassVar[int | None] = None
    steps: Count = 20
    scheduler: str = "UniPCMultistepScheduler"
    options: dict[str, Any] = field(default_factory=dict)

    def fit(self, schedule: NoiseSchedule) -> None:
        super().fit(schedule)
        if self.grid != "uniform":
            raise ConfigError(
                f"sampler=diffusers chooses its own timesteps: use sampler.grid=uniform instead of {self.grid}, and "
                "sampler.options for the scheduler's, such as '{use_karras_sigmas: true}'"
            )
        self._new(schedule)

    def __call__(self, denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, noise: Noise) -> Tensor:
        scheduler = self._new(schedule)
        generators = _generators(noise) if "generator" in inspect.signature(scheduler.step).parameters else None
        random = {} if generators is None else {"generator": generators}
        if isinstance(schedule, RectifiedPath):
            sigmas = [point.sigma for point in self.path(schedule)[:-1]]
            scheduler.set_timesteps(sigmas=sigmas, device=x.device)
        else:
            scheduler.set_timesteps(self.steps, device=x.device)
            x = x * float(scheduler.init_noise_sigma)
        steps = scheduler.config.num_train_timesteps
        for timestep, now in zip(scheduler.timesteps, scheduler.timesteps.double().tolist(), strict=True):
            if isinstance(schedule, RectifiedPath):
                sigma = torch.tensor(now / steps, dtype=torch.float64)
                x0 = denoise(x, schedule.time_of(sigma / (1.0 - sigma)))
                output = (x - x0) / sigma
            else:
                t = torch.tensor((now + 1.0) / steps, dtype=torch.float64)
                alpha, sigma = schedule.alpha_sigma(t)
                xt = scheduler.scale_model_input(x, timestep)
                output = (xt - alpha * denoise(xt, t)) / sigma
            x = scheduler.step(output, timestep, x, return_dict=False, **random)[0]
        return x

    def _new(self, schedule: NoiseSchedule) -> Any:
        kind = _class(self.scheduler)
        accepted = inspect.signature(kind).parameters
        unknown = set(self.options) - set(accepted)
        if unknown:
            raise ConfigError(f"sampler.options has {sorted(unknown)}, which {self.scheduler} does not take")
        if isinstance(schedule, RectifiedPath) and self.scheduler == FLOW:
            return kind(**self.options)
        if not isinstance(schedule, VariancePreserving) or schedule.steps is None or self.scheduler == FLOW:
            raise ConfigError(
                f"sampler.scheduler={self.scheduler} cannot walk this schedule: {FLOW} goes with scheduler=flow, all "
                "others with scheduler=linear, cosine or sigmoid and its discrete steps"
            )
        if self.scheduler == "DDIMScheduler" and schedule.steps % self.steps:
            raise ConfigError(
                f"DDIMScheduler needs sampler.steps that divide scheduler.steps={schedule.steps}, which {self.steps} "
                "does not: it would land beside its own timesteps; or use sampler=ddim"
            )
        ours = {
            "num_train_timesteps": schedule.steps,
            "trained_betas": betas(schedule, schedule.steps).tolist(),
            "prediction_type": "epsilon",
            "timestep_spacing": "trailing",
            "clip_sample": False,
            "thresholding": False,
        }
        return kind(**{key: value for key, value in ours.items() if key in accepted} | self.options)


def betas(schedule: NoiseSchedule, steps: int) -> Tensor:
    """1 - alpha_t^2 / alpha_{t-1}^2 at the times i/steps, float64."""
    alpha, _ = schedule.alpha_sigma(torch.arange(steps + 1, dtype=torch.float64) / steps)
    return 1.0 - (alpha[1:] / alpha[:-1]).square()


def _class(name: str) -> Any:
    if name not in (*VARIANCE_PRESERVING, FLOW):
        raise ConfigError(f"sampler.scheduler={name}: choose one of {', '.join((*VARIANCE_PRESERVING, FLOW))}")
    return getattr(importlib.import_module("diffusers"), name)  # here because the library is slow to import


def _generators(noise: Noise) -> list[torch.Generator]:
    """One generator an image, seeded from its own noise, so that it does not depend on its batch."""
    seeds = (noise.uniform(2).double() * 2**16).long().tolist()
    return [torch.Generator().manual_seed(high * 2**16 + low) for high, low in seeds]
