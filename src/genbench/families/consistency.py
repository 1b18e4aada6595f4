"""Consistency models: a diffusion tuned until one evaluation does."""

import torch
from torch import Tensor

from genbench.conditioning.text.base import TextEncoder
from genbench.core import Batch, Conditioning, ConfigError, FirstStage, ImageSpec, Noise, Share
from genbench.core.model import Losses
from genbench.diffusion.denoiser import broadcast
from genbench.diffusion.objectives import Objective
from genbench.diffusion.samplers import DiffusionSampler
from genbench.diffusion.schedules import NoiseSchedule
from genbench.diffusion.times import TimeDensity
from genbench.diffusion.weightings import Uniform
from genbench.families.diffusion import Diffusion
from genbench.networks.backbone import Backbone


class ConsistencyTuning(Diffusion):
    """A diffusion whose denoised image is taught to be the same all along each path (Geng et al. 2024, ECT).

    The image at noise level t is drawn towards the one at r < t of the same noise. At first r is 0 for small t, which
    is diffusion; over `stages` of the training the gap t - r shrinks by `q` each. `k` and `b` shape the gap over t, as
    in their eq. 22; `huber` is the pseudo-Huber constant of Song & Dhariwal 2024, section 3.3, for the root mean
    square. Meant to start from the weights of a trained diffusion; levels stand for the paper's t on any schedule.

    Raises:
        ConfigError: a prediction that cannot be the identity without noise, or that one step magnifies.
    """

    def __init__(
        self,
        spec: ImageSpec,
        schedule: NoiseSchedule,
        objective: Objective,
        times: TimeDensity,
        sampler: DiffusionSampler,
        backbone: Backbone,
        first_stage: FirstStage | None = None,
        text_encoder: TextEncoder | None = None,
        conditional: bool = True,
        label_dropout: Share = 0.1,
        q: float = 2.0,
        stages: int = 4,
        k: float = 8.0,
        b: float = 1.0,
        huber: float = 5.4e-4,
    ) -> None:
        super().__init__(
            spec,
            schedule,
            objective,
            Uniform(),
            times,
            sampler,
            backbone,
            first_stage=first_stage,
            text_encoder=text_encoder,
            conditional=conditional,
            label_dropout=label_dropout,
        )
        if q <= 1.0 or stages < 1 or k < 0.0 or b < 0.0 or huber <= 0.0:
            raise ConfigError(
                f"model.q={q:g}, stages={stages}, k={k:g}, b={b:g}, huber={huber:g}: expected q above 1, at least one "
                "stage, k and b of 0 or more, and a positive huber"
            )
        self.q, self.stages, self.k, self.b, self.huber = q, stages, k, b, huber
        self._check_boundary()

    def _check_boundary(self) -> None:
        clean, start = (self.schedule.level(torch.ones((), dtype=torch.float64) * t) for t in (0.0, 1.0))
        skip, gain = self.objective.skip_gain(*self.schedule.scales(torch.zeros_like(clean)))
        _, magnified = self.objective.skip_gain(*self.schedule.scales(start))
        if float(skip) != 1.0 or float(gain) != 0.0 or abs(magnified) > 2.0 or self.objective.outputs > 1:
            raise ConfigError(
                "a consistency function shows an image without noise as it is, and pure noise in one step: this "
                "objective does not; use a run of objective=edm, v or velocity"
            )

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        """Distance of the images at t and at r < t, over the gap of their noise levels."""
        x0 = batch.image if self.first_stage is None else self.first_stage.encode(batch)
        t = self.schedule.level(self.times(noise, self.schedule))
        r = self.nearer(t)
        eps = noise.normal(*x0.shape[1:])
        condition = self.conditioning(self.dropped(batch.condition, noise), len(batch))

        # both see the same dropout: the target is drawn on a copy of the random state
        with torch.no_grad(), torch.random.fork_rng([x0.device] if x0.is_cuda else []):
            target = self.image_at(x0, eps, r, condition)
        error = (self.image_at(x0, eps, t, condition) - target).square().flatten(1).mean(1)
        distance = (error + self.huber**2).sqrt() - self.huber
        return {"loss": (distance / (t - r).clamp(min=1e-4)).mean()}

    def nearer(self, t: Tensor) -> Tensor:
        """The noise level r < t of the target at the training's present stage."""
        stage = min(int(self.progress * self.stages), self.stages - 1)
        gap = self.q ** -(stage + 1) * (1.0 + self.k * torch.sigmoid(-self.b * t))
        return t * (1.0 - gap).clamp(min=0.0)

    def image_at(self, x0: Tensor, eps: Tensor, level: Tensor, condition: Conditioning) -> Tensor:
        """f at x0 with noise of a level [B], which is x0 itself at level 0."""
        alpha, sigma = self.schedule.scales(level)
        scale = self.objective.input_scale(alpha, sigma)
        a, s = broadcast(alpha, x0), broadcast(sigma, x0)
        xt = a * x0 + s * eps
        output = self.backbone(broadcast(scale, x0) * xt, self.schedule.time_of(level).to(x0.dtype), condition)
        skip, gain = self.objective.skip_gain(alpha, sigma)
        image: Tensor = broadcast(skip, x0) * xt + broadcast(gain, x0) * output
        return image
