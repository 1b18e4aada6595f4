"""Diffusion: learn to remove noise, then remove it step by step."""

from collections.abc import Sequence

from torch import Tensor, nn

from genbench.conditioning.label import LabelEmbedding
from genbench.core import Batch, Condition, ConfigError, GenerativeModel, ImageSpec, Noise, TrainStep
from genbench.core.model import Losses
from genbench.diffusion.guidance import guided
from genbench.diffusion.objectives import Objective
from genbench.diffusion.samplers import DiffusionSampler
from genbench.diffusion.schedules import NoiseSchedule
from genbench.networks.backbone import Backbone


class Diffusion(GenerativeModel):
    """Denoising diffusion (Ho et al. 2020) with any backbone.

    Raises:
        ConfigError: guidance on an unconditional model, or more sampling steps than the schedule has.
    """

    def __init__(
        self,
        spec: ImageSpec,
        schedule: NoiseSchedule,
        objective: Objective,
        sampler: DiffusionSampler,
        backbone: Backbone,
        conditional: bool = True,
        label_dropout: float = 0.1,
    ) -> None:
        super().__init__(spec, conditional)
        if sampler.guidance != 1.0 and not (conditional and label_dropout > 0.0):
            raise ConfigError(
                f"sampler.guidance={sampler.guidance:g} needs a conditional model trained with label dropout: "
                "use model.conditional=true model.label_dropout=0.1, or sampler.guidance=1"
            )
        schedule.grid(sampler.steps)  # refuses more steps than the schedule has
        self.schedule, self.objective, self.sampler = schedule, objective, sampler
        self.label_dropout = label_dropout
        self.label = LabelEmbedding(spec, conditional, backbone.embedding, nullable=label_dropout > 0.0)
        self.backbone = backbone

    @property
    def network(self) -> nn.Module:
        return self.backbone

    def train_steps(self) -> Sequence[TrainStep]:
        return [TrainStep("model", self, self.loss)]

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """Weighted squared error at one random time per image."""
        t = self.schedule.times(noise.uniform())
        eps = noise.normal(*self.spec.shape)
        alpha, sigma = (a[:, None, None, None] for a in self.schedule.alpha_sigma(t))
        xt = alpha * batch.image + sigma * eps
        label = self.label.drop(batch.label, noise, self.label_dropout)
        output = self.backbone(xt, t, self.label(label, len(batch)))
        error = (output - self.objective.target(batch.image, eps, alpha, sigma)).square()
        return {"loss": (self.objective.weight(alpha, sigma) * error).mean()}

    def sample(self, noise: Noise, condition: Condition) -> Tensor:
        scale = self.sampler.guidance
        conditional = self.label(condition.label, len(noise))
        null = conditional if scale == 1.0 else self.label(None, len(noise))

        def denoise(x: Tensor, t: Tensor) -> Tensor:
            output = guided(self.backbone, x, t.float().expand(len(x)), conditional, null, scale)
            alpha, sigma = self.schedule.alpha_sigma(t)
            return self.objective.to_denoised(output, x, alpha, sigma).clamp(-1.0, 1.0)

        return self.sampler(denoise, self.schedule, noise.normal(*self.spec.shape), noise)
