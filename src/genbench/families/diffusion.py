"""Diffusion: learn to remove noise, then remove it step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from genbench.conditioning.label import LabelEmbedding
from genbench.conditioning.text.base import TextEncoder
from genbench.conditioning.text.conditioner import TextConditioner, drop_captions, require_captions
from genbench.core import (
    Batch,
    Condition,
    Conditioning,
    ConfigError,
    FirstStage,
    GenerativeModel,
    ImageSpec,
    Likelihood,
    Noise,
    Share,
    TrainStep,
)
from genbench.core.model import Losses
from genbench.diffusion.clipping import Clip
from genbench.diffusion.couplings import Coupling
from genbench.diffusion.denoiser import Denoiser, NetworkDenoiser, VarianceDenoiser, broadcast
from genbench.diffusion.guidance import Guidance
from genbench.diffusion.likelihoods import DiffusionLikelihood
from genbench.diffusion.objectives import LearnedVariance, Objective
from genbench.diffusion.samplers import DiffusionSampler
from genbench.diffusion.schedules import NoiseSchedule
from genbench.diffusion.times import TimeDensity
from genbench.diffusion.variational import bound_bits
from genbench.diffusion.weightings import Weighting
from genbench.networks.backbone import Backbone


class Diffusion(GenerativeModel):
    """Diffusion and flow: any schedule, prediction, weighting, density of times, coupling, sampler and backbone.

    With a `text_encoder` captions say what images show, and without one labels do; `label_dropout` is the share of
    training images whose label or caption is left out.

    Raises:
        ConfigError: choices that cannot go together: see `_check`.
    """

    def __init__(
        self,
        spec: ImageSpec,
        schedule: NoiseSchedule,
        objective: Objective,
        weighting: Weighting,
        times: TimeDensity,
        sampler: DiffusionSampler,
        backbone: Backbone,
        coupling: Coupling | None = None,
        first_stage: FirstStage | None = None,
        likelihood: DiffusionLikelihood | None = None,
        text_encoder: TextEncoder | None = None,
        conditional: bool = True,
        label_dropout: Share = 0.1,
    ) -> None:
        super().__init__(spec, conditional and text_encoder is None)
        self.schedule, self.objective, self.weighting, self.times = schedule, objective, weighting, times
        self.sampler, self.coupling, self.label_dropout = sampler, coupling, label_dropout
        self.estimator = likelihood
        nullable = label_dropout > 0.0
        self.label = LabelEmbedding(spec, self.conditional, backbone.embedding, nullable)
        self.text = (
            None
            if text_encoder is None
            else TextConditioner(text_encoder, backbone.embedding, backbone.context, nullable)
        )
        self.backbone, self.first_stage = backbone, first_stage
        self._worse: tuple[Diffusion, ...] = ()  # no part of this model: neither trained, nor saved, nor averaged
        self._check(conditional)

    def _check(self, conditional: bool) -> None:
        """Refuses guidance without a null condition, captions that are missing, a sampler, objective or backbone that
        does not fit.
        """
        by_null = self.sampler.guidance != 1.0 and self.sampler.guidance_run is None
        if by_null and not ((self.conditional or self.reads_captions) and self.label_dropout > 0.0):
            raise ConfigError(
                f"sampler.guidance={self.sampler.guidance:g} needs a conditional model trained with label dropout: "
                "use model.conditional=true model.label_dropout=0.1, or sampler.guidance=1, or a worse run as "
                "sampler.guidance_run"
            )
        if self.reads_captions:
            require_captions(self.spec, "this data")
        if self.reads_captions and not conditional:
            raise ConfigError(
                "model.conditional=false reads no captions: use model.conditional=true, or text_encoder=none"
            )
        if self.backbone.context is not None and not self.reads_captions:
            raise ConfigError(
                f"backbone.context={self.backbone.context} attends to a text, and nothing reads one: use a "
                "text_encoder, such as text_encoder=minilm, or another backbone"
            )
        self.sampler.fit(self.schedule)
        end = self.schedule.alpha_sigma(torch.ones((), dtype=torch.float64))
        if not all(factor.isfinite() for factor in self.objective.skip_gain(*end)):
            raise ConfigError(
                "predicting the noise says nothing of the image in pure noise, where this schedule starts (alpha = 0): "
                "use objective=velocity or v, or a scheduler that keeps a trace of signal, such as cosine"
            )
        if self.backbone.outputs != self.objective.outputs:
            raise ConfigError(
                f"this objective needs a backbone of {self.objective.outputs} outputs, and backbone.outputs="
                f"{self.backbone.outputs}: use backbone.outputs={self.objective.outputs}"
            )
        if self.first_stage is not None and self.sampler.clip != "none":
            raise ConfigError(f"sampler.clip={self.sampler.clip}: latents have no range: use sampler.clip=none")
        if self.estimator is not None:
            self.estimator.fit(self.schedule)
        if self.first_stage is not None and self.estimator is not None:
            raise ConfigError("a likelihood is of pixels, and this model's would be of latents: use likelihood=none")
        if self.first_stage is not None and isinstance(self.objective, LearnedVariance):
            raise ConfigError("objective=learned_variance bounds bits of pixels, not of latents: use objective=epsilon")
        if isinstance(self.objective, LearnedVariance) and self.schedule.steps is None:
            raise ConfigError(
                "objective=learned_variance needs a schedule of discrete steps: use scheduler=cosine, linear or "
                "sigmoid, with scheduler.steps=1000"
            )

    @property
    def network(self) -> nn.Module:
        return self.backbone

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return (self.backbone, *(worse.backbone for worse in self._worse))

    @property
    def recomputable(self) -> Sequence[nn.Module]:
        return self.backbone.recomputable

    @property
    def reads_captions(self) -> bool:
        return self.text is not None

    def conditioning(self, condition: Condition, batch: int) -> Conditioning:
        """What steers the network for `batch` images: without labels or captions, their null conditions."""
        vector = self.label(condition.label, batch)
        return Conditioning(vector) if self.text is None else self.text(condition.caption, vector)

    def dropped(self, condition: Condition, noise: Noise) -> Condition:
        """A training condition with some of its labels, or captions, left out."""
        if self.text is None:
            return replace(condition, label=self.label.drop(condition.label, noise, self.label_dropout))
        return replace(condition, caption=drop_captions(condition.caption, noise, self.label_dropout))

    def groups(self, batch: Batch) -> Tensor | None:
        """Numbers int64 [B] that images of one condition share, whose noise has to stay normal; None without any."""
        if self.text is None or batch.caption is None:
            return batch.label if self.conditional else None
        number = {caption: i for i, caption in enumerate(dict.fromkeys(batch.caption))}
        return torch.tensor([number[caption] for caption in batch.caption])

    def guide_by(self, worse: Diffusion) -> None:
        """Makes another model of the same schedule and objective the one that samples are guided away from.

        Raises:
            ConfigError: a model of other images.
        """
        if worse.spec != self.spec or (worse.conditional, worse.reads_captions) != (
            self.conditional,
            self.reads_captions,
        ):
            raise ConfigError(
                f"sampler.guidance_run makes images of {worse.spec}, conditional {worse.conditional}, but this model "
                f"of {self.spec}, conditional {self.conditional}: give a run that was trained on the same data"
            )
        self._worse = (worse,)

    def train_steps(self) -> Sequence[TrainStep]:
        return [TrainStep("model", self, self.loss)]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """Weighted squared error at one random time per image, and a learned variance's bound beside it."""
        x0 = batch.image if self.first_stage is None else self.first_stage.encode(batch)
        t = self.times(noise, self.schedule)
        eps = noise.normal(*x0.shape[1:])
        if self.coupling is not None:
            eps = self.coupling(x0, eps, self.groups(batch))
        condition = self.dropped(batch.condition, noise)

        alpha, sigma = self.schedule.alpha_sigma(t.double())
        scale, (_, gain) = self.objective.input_scale(alpha, sigma), self.objective.skip_gain(alpha, sigma)
        snr = (alpha / sigma).square().clamp(1e-20, 1e20)  # finite weights at both ends
        weight = broadcast(self.weighting(snr, gain), x0)
        a, s = broadcast(alpha, x0), broadcast(sigma, x0)

        xt = a * x0 + s * eps
        output = self.backbone(broadcast(scale, x0) * xt, t.to(x0.dtype), self.conditioning(condition, len(batch)))
        prediction, rest = output[:, : x0.shape[1]], output[:, x0.shape[1] :]
        error = (prediction - self.objective.target(x0, eps, a, s)).square()
        loss = (weight * error).mean()
        if not isinstance(self.objective, LearnedVariance):
            return {"loss": loss}
        denoised = self.objective.to_denoised(prediction.detach(), xt, a, s)
        assert self.schedule.steps is not None
        bound = bound_bits(self.schedule, self.schedule.steps, t, x0, xt, denoised, rest, self.spec.levels).mean()
        return {"loss": loss + self.objective.weight * bound, "bound_bits": bound}

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        space = self.spec if self.first_stage is None else self.first_stage.latent
        start = self.schedule.prior_std * noise.normal(*space.shape)
        denoise = self.denoiser(condition, len(noise), self.sampler.guide, self.sampler.clip)
        x0 = self.sampler(denoise, self.schedule, start, noise)
        return x0 if self.first_stage is None else self.first_stage.decode(x0, condition)

    def likelihood(self, batch: Batch, noise: Noise) -> Likelihood | None:
        """Of the model without guidance, whatever its sampler; None if built without a likelihood."""
        if self.estimator is None:
            return None
        denoise = self.denoiser(batch.condition, len(batch), Guidance(), self.estimator.clip)
        bits = self.estimator(denoise, self.schedule, batch.image, self.spec.levels, noise)
        return Likelihood(bits, self.estimator.kind)

    def denoiser(self, condition: Condition, batch: int, guide: Guidance, clip: Clip) -> Denoiser:
        """E[x0 | x_t, condition] for `batch` images, guided and clipped."""
        conditional = self.conditioning(condition, batch)
        worse = None if guide.scale == 1.0 or not self._worse else self._worse[0].to(conditional.vector.device)
        null = conditional if guide.scale == 1.0 or worse is not None else self.conditioning(Condition(), batch)
        theirs = conditional if worse is None else worse.conditioning(condition, batch)

        def predict(x: Tensor, t: Tensor, level: Tensor) -> Tensor:
            # a fill rather than a copy: it does not wait for the device
            time = torch.full((batch,), float(t), device=x.device) if t.ndim == 0 else t.float()
            if worse is None:
                return guide(self.backbone, x, time, conditional, null, level)
            return guide.by_another(
                lambda x, t: self.backbone(x, t, conditional), lambda x, t: worse.backbone(x, t, theirs), x, time, level
            )

        kind = VarianceDenoiser if isinstance(self.objective, LearnedVariance) else NetworkDenoiser
        return kind(self.schedule, self.objective, predict, clip)
