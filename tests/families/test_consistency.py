"""Consistency tuning: its boundary, its fixed point, what it makes of a teacher, and what it refuses."""

import math

import pytest
import torch
from small_models import CHANNELS, awake, fake_batch
from torch import Tensor, nn

from genbench.core import Batch, Condition, Conditioning, ConfigError, ImageSpec, Noise, SeededNoise, StreamNoise
from genbench.diffusion import objectives, times
from genbench.diffusion.objectives import Objective
from genbench.diffusion.samplers import Consistency, DiffusionSampler
from genbench.diffusion.schedules import EDM, Cosine, Flow, Linear, NoiseSchedule
from genbench.families.consistency import ConsistencyTuning
from genbench.networks.backbone import Backbone
from genbench.networks.unet import UNet

DIGITS = ImageSpec(1, 8, 8, num_classes=10, levels=17)
PIXEL = ImageSpec(1, 1, 1)
MEAN, STD, TOP = 0.3, 0.5, 20.0
STEPS = 300
FITTING: list[Objective] = [objectives.EDM(), objectives.V(), objectives.Velocity()]
SCHEDULES: list[NoiseSchedule] = [EDM(), Cosine(), Linear(), Flow()]


def tuning(
    backbone: Backbone,
    spec: ImageSpec = DIGITS,
    schedule: NoiseSchedule | None = None,
    objective: Objective | None = None,
    sampler: DiffusionSampler | None = None,
    **others: float,
) -> ConsistencyTuning:
    return ConsistencyTuning(
        spec,
        schedule or EDM(),
        objective or objectives.EDM(),
        times.LogNormal(-1.1, 2.0),
        sampler or Consistency(),
        backbone,
        conditional=spec.num_classes > 0,
        **others,
    )


def unet() -> UNet:
    return UNet(DIGITS, CHANNELS[8], 1, 8, 2)


class Doubles(Noise):
    """Float64 noise from one generator."""

    def __init__(self, batch: int, seed: int = 0) -> None:
        self.batch, self.generator = batch, torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.batch

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.batch, *shape, dtype=torch.float64, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.batch, *shape, dtype=torch.float64, generator=self.generator)


class Linear1D(Backbone):
    """The output whose image is mean + g(level) / sqrt(std^2 + level^2) (x - mean), g learned over knots of t.

    g = std is the map of the probability-flow ODE of N(mean, std^2); it starts as that, or as the denoiser.
    """

    def __init__(self, model_schedule: NoiseSchedule, objective: Objective, ode: bool) -> None:
        super().__init__(embedding=1, outputs=1)
        self.schedule, self.objective = model_schedule, objective
        level = model_schedule.level(torch.linspace(0, 1, 17, dtype=torch.float64))
        self.g = nn.Parameter(torch.full_like(level, STD) if ode else STD**2 / torch.hypot(0 * level + STD, level))

    def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
        level = self.schedule.level(t)
        scales = self.schedule.scales(level)
        place = t.double() * 16
        low = place.long().clamp(max=15)
        slope = torch.lerp(self.g[low], self.g[low + 1], place - low) / torch.hypot(0 * level + STD, level)
        skip, gain = (c[:, None, None, None] for c in self.objective.skip_gain(*scales))
        y = x / self.objective.input_scale(*scales)[:, None, None, None]
        return (MEAN + slope[:, None, None, None] * (y - MEAN) - skip * y) / gain


def normals(ode: bool, stages: int) -> ConsistencyTuning:
    """A model of N(mean, std^2) in one pixel."""
    schedule, objective = EDM(sigma_max=TOP), objectives.EDM(STD)
    backbone = Linear1D(schedule, objective, ode)
    return tuning(backbone, PIXEL, schedule, objective, k=0.0, stages=stages).double()


def normal_batch(size: int, seed: int = 0) -> Batch:
    x0 = MEAN + STD * Doubles(size, seed).normal(1, 1, 1)
    return Batch(x0, None, None, torch.arange(size))


@pytest.mark.parametrize("objective", FITTING, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_without_noise_an_image_stays_as_it_is(objective: Objective, schedule: NoiseSchedule) -> None:
    model, batch = tuning(unet(), schedule=schedule, objective=objective), fake_batch(DIGITS)
    awake(model)
    eps, none = torch.randn(5, 1, 8, 8), torch.zeros(5, dtype=torch.float64)
    label = model.conditioning(batch.condition, 5)
    assert torch.equal(model.image_at(batch.image, eps, none, label), batch.image)
    assert not torch.allclose(model.image_at(batch.image, eps, none + 1.0, label), batch.image, atol=0.1)


def test_the_gap_closes_by_q_a_stage() -> None:
    """Geng et al. 2024, eq. 22: r = t (1 - n(t) / q^a)."""
    model, t = tuning(unet(), q=2.0, stages=4), torch.tensor([0.01, 1.0, 80.0], dtype=torch.float64)
    gaps = []
    for model.progress in (0.0, 0.24, 0.25, 0.5, 1.0):
        gaps.append(1.0 - model.nearer(t) / t)
    assert torch.equal(gaps[0], gaps[1])
    assert gaps[0][0] == 1.0  # diffusion at small t: the target is the image itself
    for gap, halves in zip(gaps[1:], (1, 2, 3, 4), strict=True):
        expected = [min(1.0, 2.0**-halves * (1.0 + 8.0 / (1.0 + math.exp(x)))) for x in t.tolist()]
        assert gap.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("progress", [0.0, 0.4, 0.9])
def test_the_map_of_the_ode_is_a_fixed_point_up_to_the_square_of_the_gap(progress: float) -> None:
    """On N(m, s^2), E[f(x_r) | x_t] - m = cos(angle) (f(x_t) - m), the angle between (s, t) and (s, r)."""
    model = normals(ode=True, stages=8)
    model.progress = progress
    t = torch.tensor([0.05, 0.5, 2.0, 10.0], dtype=torch.float64)
    r, nothing = model.nearer(t), torch.zeros(4, 1, 1, 1, dtype=torch.float64)

    def factors(level: Tensor) -> tuple[Tensor, Tensor]:
        """How the image follows x0 and eps, which it is affine in."""
        label = model.conditioning(Condition(), 4)
        base = model.image_at(nothing, nothing, level, label)
        return tuple((model.image_at(*pair, level, label) - base).flatten() for pair in _impulses(nothing))

    (x0_t, eps_t), (x0_r, eps_r) = factors(t), factors(r)
    of_target, of_itself = (a * STD**2 + b * t for a, b in ((x0_r, eps_r), (x0_t, eps_t)))  # covariances with x_t
    angle = (t / STD).atan() - (r / STD).atan()
    torch.testing.assert_close(of_target / of_itself, angle.cos())
    assert (angle < 0.6 * 2.0 ** -int(8 * progress)).all()


def _impulses(nothing: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return (nothing + 1.0, nothing), (nothing, nothing + 1.0)


def gradient(ode: bool) -> float:
    """The size of the loss's gradient over many pairs, late in training."""
    model = normals(ode, stages=8)
    model.progress = 0.6
    loss = model.loss(normal_batch(200_000), Doubles(200_000, seed=1))["loss"]
    (found,) = torch.autograd.grad(loss, model.backbone.g)
    return found.norm().item()


def test_the_denoiser_is_no_fixed_point() -> None:
    assert gradient(ode=False) > 5.0 * gradient(ode=True)


def test_tuning_a_denoiser_gives_the_map_of_the_ode() -> None:
    model = normals(ode=False, stages=3)
    eps, level = Doubles(1000, seed=7).normal(1, 1, 1), torch.full((1000,), TOP, dtype=torch.float64)
    exact = MEAN + STD / math.hypot(STD, TOP) * (TOP * eps - MEAN)

    def off() -> float:
        """Root mean square distance from where the ODE ends, after one step."""
        drawn = model.image_at(torch.zeros_like(eps), eps, level, model.conditioning(Condition(), 1000))
        return (drawn - exact).square().mean().sqrt().item()

    assert off() > 0.45  # the denoiser shows little but the mean
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    for step in range(STEPS):
        model.progress = step / STEPS
        optimizer.param_groups[0]["lr"] = 0.02 * (1.0 - model.progress) ** 2
        optimizer.zero_grad()
        model.loss(normal_batch(4000, seed=step), Doubles(4000, seed=STEPS + step))["loss"].backward()
        optimizer.step()
    assert off() < 0.05


def test_sampler_jumps_and_jumps_again() -> None:
    schedule = Flow()

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        return (2.0 + t) * x

    x = Doubles(6, seed=3).normal(1, 1, 1)
    one = 3.0 * x
    assert torch.equal(Consistency(levels=())(denoise, schedule, x, Doubles(6)), one)
    again = 2.25 * (0.75 * one + 0.25 * Doubles(6).normal(1, 1, 1))  # level 1/3 is t = 1/4
    torch.testing.assert_close(Consistency(levels=(1 / 3,))(denoise, schedule, x, Doubles(6)), again)


def test_both_images_see_the_same_dropout() -> None:
    torch.manual_seed(0)
    model = tuning(UNet(DIGITS, CHANNELS[8], 1, 8, 2, dropout=0.5), q=1.0 + 1e-9, k=0.0, stages=1)
    awake(model).train()
    model.nearer = lambda t: t  # type: ignore[method-assign]
    assert model.loss(fake_batch(DIGITS), StreamNoise(5))["loss"].item() == 0.0


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_trains_and_draws_on_every_schedule(schedule: NoiseSchedule) -> None:
    model = tuning(unet(), schedule=schedule, objective=objectives.V())
    awake(model)
    for model.progress in (0.0, 1.0):
        loss = model.loss(fake_batch(DIGITS), StreamNoise(5))["loss"]
        loss.backward()
        assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with torch.no_grad():
        assert model.sample(SeededNoise(0, range(3)), Condition(torch.arange(3))).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("objective", [objectives.X0(), objectives.Epsilon(), objectives.LearnedVariance(FITTING[1])])
def test_predictions_that_are_no_consistency_function_are_refused(objective: Objective) -> None:
    backbone = UNet(DIGITS, CHANNELS[8], 1, 8, 2, outputs=objective.outputs)
    with pytest.raises(ConfigError, match="use a run of objective=edm, v or velocity"):
        tuning(backbone, schedule=Cosine(), objective=objective)


def test_levels_and_gaps_that_make_no_sense_are_refused() -> None:
    for levels in ((0.5, 0.8), (0.5, 0.0)):
        with pytest.raises(ConfigError, match="expected falling positive noise levels"):
            Consistency(levels=levels)
    with pytest.raises(ConfigError, match="use levels below 80, where this schedule starts"):
        tuning(unet(), sampler=Consistency(levels=(80.0,)))
    with pytest.raises(ConfigError, match=r"model\.q=1, .*expected q above 1"):
        tuning(unet(), q=1.0)
