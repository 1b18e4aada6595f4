"""Diffusion: its loss against the definition, what steers sampling, and every combination of its choices."""

import pytest
import torch
from small_models import CHANNELS, awake, diffusion, fake_batch

from genbench.core import Condition, ConfigError, ImageSpec, SeededNoise, StreamNoise
from genbench.diffusion import couplings, objectives, samplers, schedules, times, weightings
from genbench.diffusion.clipping import Clip
from genbench.diffusion.guidance import Guidance
from genbench.diffusion.objectives import Epsilon, LearnedVariance, Objective
from genbench.diffusion.samplers import DDIM, DDPM, Adaptive, DiffusionSampler, Heun
from genbench.diffusion.schedules import EDM, Cosine, Flow, NoiseSchedule
from genbench.families.diffusion import Diffusion
from genbench.networks.unet import UNet

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers' of numpy
DIGITS = ImageSpec(1, 8, 8, num_classes=10, levels=17)
SCHEDULES: list[NoiseSchedule] = [
    *(schedules.Linear(), Cosine(), Cosine(steps=None), schedules.Sigmoid(), EDM(), Flow(), Flow(shift=2.0))
]
OBJECTIVES: list[Objective] = [
    *(Epsilon(), objectives.X0(), objectives.V(), objectives.Velocity(), objectives.EDM(), LearnedVariance(Epsilon()))
]
SAMPLERS: list[DiffusionSampler] = [
    *(DDIM(3), DDIM(3, eta=0.5, grid="karras"), DDPM(3), Heun(3, s_churn=5.0), samplers.DPMSolver2M(3)),
    *(samplers.DPMSolver2MSDE(3), samplers.DPMSolver3M(4), samplers.Midpoint(3), samplers.RK4(2)),
    *(Adaptive(rtol=0.3, atol=0.3), samplers.DiffusersSampler(3)),
    samplers.DiffusersSampler(3, scheduler="FlowMatchEulerDiscreteScheduler"),
    samplers.Consistency(),
]


def small(
    sampler: DiffusionSampler | None = None,
    schedule: NoiseSchedule | None = None,
    objective: Objective | None = None,
    label_dropout: float = 0.1,
) -> Diffusion:
    backbone = UNet(DIGITS, CHANNELS[8], 1, 8, 2, outputs=objective.outputs if objective else 1)
    model = diffusion(DIGITS, sampler or DDIM(steps=5), backbone, schedule, objective, label_dropout=label_dropout)
    awake(model)
    return model


def test_an_untrained_network_predicts_no_noise_and_so_loses_its_variance() -> None:
    torch.manual_seed(0)
    model = diffusion(DIGITS, DDIM(), UNet(DIGITS, CHANNELS[8], 1))
    loss = model.loss(fake_batch(DIGITS, 500), StreamNoise(500))["loss"].item()
    assert loss == pytest.approx(1.0, abs=0.04)  # 5 standard errors of a mean over 32 000 squared normals


def test_loss_is_the_error_of_the_noise() -> None:
    model, batch = small(label_dropout=0.0), fake_batch(DIGITS)
    noise = SeededNoise(0, range(5))
    t, eps = model.schedule.snap(noise.uniform()), noise.normal(1, 8, 8)
    alpha, sigma = model.schedule.alpha_sigma(t)
    noisy = alpha[:, None, None, None] * batch.image + sigma[:, None, None, None] * eps
    expected = (model.network(noisy, t, model.conditioning(batch.condition, 5)) - eps).square().mean()
    torch.testing.assert_close(model.loss(batch, SeededNoise(0, range(5)))["loss"], expected)


def test_loss_is_edms() -> None:
    """Karras et al. 2022, eq. 8: lambda(sigma) |D(x0 + n; sigma) - x0|^2, sigma log-normal."""
    backbone = UNet(DIGITS, CHANNELS[8], 1, 8, 2)
    parts = (EDM(), objectives.EDM(), weightings.EDM(), times.LogNormal(), DDIM(), backbone)
    model, batch = Diffusion(DIGITS, *parts, label_dropout=0.0), fake_batch(DIGITS)
    awake(model)
    noise = SeededNoise(0, range(5))
    sigma = (-1.2 + 1.2 * torch.special.ndtri(noise.uniform().double())).exp().float()[:, None, None, None]
    noisy, label = batch.image + sigma * noise.normal(1, 8, 8), model.conditioning(batch.condition, 5)
    t = model.schedule.time_of(sigma.flatten().double()).float()
    output = model.network(noisy / (sigma**2 + 0.25).sqrt(), t, label)
    denoised = 0.25 / (sigma**2 + 0.25) * noisy + 0.5 * sigma / (sigma**2 + 0.25).sqrt() * output
    expected = ((sigma**2 + 0.25) / (0.5 * sigma) ** 2 * (denoised - batch.image).square()).mean()
    torch.testing.assert_close(model.loss(batch, SeededNoise(0, range(5)))["loss"], expected, rtol=1e-5, atol=0)


def test_the_bound_teaches_the_variance_alone() -> None:
    model, batch = small(DDPM(3), objective=LearnedVariance(Epsilon(), weight=1.0)), fake_batch(DIGITS, 64)
    torch.manual_seed(0)
    losses = model.loss(batch, StreamNoise(64))
    head = model.network.head[-1].bias
    together = torch.autograd.grad(losses["loss"], head, retain_graph=True)[0]
    bound = torch.autograd.grad(losses["bound_bits"], head)[0]
    assert bound[0] == 0.0
    assert bound[1] != 0.0
    torch.testing.assert_close(together[1], bound[1])
    assert together[0] != 0.0


def test_coupled_noise_is_what_the_network_sees() -> None:
    parts = (Flow(), objectives.Velocity(), weightings.Uniform(), times.Uniform(), DDIM())
    losses = {}
    for coupling in (None, couplings.OptimalTransport()):
        torch.manual_seed(0)
        model = Diffusion(DIGITS, *parts, UNet(DIGITS, CHANNELS[8], 1), coupling)
        losses[coupling] = model.loss(fake_batch(DIGITS, 200), StreamNoise(200))["loss"].item()
    plain, coupled = losses.values()
    # an untrained network predicts 0, so the loss is the mean squared distance of the pairs
    assert coupled < 0.95 * plain


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_every_combination_trains_and_draws_or_is_refused(objective: Objective, schedule: NoiseSchedule) -> None:
    label, batch = torch.arange(3), fake_batch(DIGITS)
    drawn, refusals = 0, []
    for sampler in SAMPLERS:
        try:
            model = small(sampler, schedule, objective)
        except ConfigError as error:
            refusals.append(str(error))
            continue
        with torch.no_grad():
            image = model.sample(SeededNoise(0, range(3)), Condition(label))
        assert image.dtype == torch.float32
        assert image.isfinite().all()
        assert image.std() > 0.05
        drawn += 1
    assert all("\n" not in r and ("use " in r or "goes with" in r) for r in refusals)
    impossible = (isinstance(objective, Epsilon) and isinstance(schedule, Flow)) or (
        isinstance(objective, LearnedVariance) and schedule.steps is None
    )
    fitting = 12 if isinstance(schedule, Flow) or schedule.steps is not None else 11
    assert drawn == (0 if impossible else fitting)
    if drawn:
        for weighting in (weightings.MinSNR(), weightings.EDM(), weightings.Sigmoid()):
            model.weighting = weighting
            for value in model.loss(batch, StreamNoise(5)).values():
                assert value.isfinite()


@pytest.mark.parametrize("kind", [DDIM, DDPM, samplers.DPMSolver2M])
@pytest.mark.parametrize("clip", ["static", "dynamic"])
def test_clipped_images_stay_in_range(kind: type[samplers.FixedSteps], clip: Clip) -> None:
    with torch.no_grad():
        image = small(kind(7, clip=clip)).sample(SeededNoise(0, range(3)), Condition(torch.arange(3)))
        wild = small(kind(7, clip="none")).sample(SeededNoise(0, range(3)), Condition(torch.arange(3)))
    assert image.abs().max() <= 1.0  # the last step shows the clipped image itself
    assert wild.abs().max() > 1.0


@pytest.mark.parametrize("sampler", [DDPM(4), Heun(4, s_churn=5.0), Adaptive(), samplers.DiffusersSampler(4)])
def test_samples_do_not_depend_on_their_batch(sampler: DiffusionSampler) -> None:
    model, label = small(sampler), torch.arange(6)
    with torch.no_grad():
        together = model.sample(SeededNoise(0, range(6)), Condition(label))
        alone = model.sample(SeededNoise(0, [4]), Condition(label[4:5]))
    torch.testing.assert_close(alone[0], together[4], rtol=0, atol=2e-4)


def test_guidance_zero_is_unconditional_and_one_is_conditional() -> None:
    label = torch.tensor([1, 2, 3])
    images = {}
    for scale in (0.0, 1.0, 3.0):
        model = small(DDIM(steps=5, guidance=scale))
        with torch.no_grad():
            images[scale] = model.sample(SeededNoise(0, range(3)), Condition(label))
            if scale == 1.0:
                without_labels = model.sample(SeededNoise(0, range(3)), Condition())
    torch.testing.assert_close(images[0.0], without_labels, rtol=0, atol=1e-5)
    assert (images[1.0] - without_labels).abs().max() > 1e-3
    assert (images[3.0] - images[1.0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("sampler", "evaluations"),
    [
        (DDIM(4), [3] * 4),
        (DDIM(4, guidance=0.0), [3] * 4),
        (DDIM(4, guidance=2.0), [6] * 4),
        # t = 1, 3/4, 1/2, 1/4 of the cosine have the noise levels 1000, 2.4, 1.0, 0.4
        (DDIM(4, guidance=2.0, guidance_interval=(0.9, 3.0)), [3, 6, 6, 3]),
        (Heun(4), [3] * 7),
    ],
)
def test_evaluations_are_counted_at_the_network(sampler: DiffusionSampler, evaluations: list[int]) -> None:
    model, counted = small(sampler), []
    model.network.register_forward_hook(lambda m, args, out: counted.append(len(args[0])))
    with torch.no_grad():
        model.sample(SeededNoise(0, range(3)), Condition(torch.arange(3)))
    assert counted == evaluations


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: small(DDIM(guidance=2.0), label_dropout=0.0), r"sampler\.guidance=2 needs .* model\.label_dropout=0"),
        (lambda: small(schedule=Flow()), r"where this schedule starts \(alpha = 0\): use objective=velocity or v"),
        (lambda: small(DDIM(1001)), r"sampler\.steps is 1001; expected 1 to scheduler\.steps=1000"),
        (
            lambda: diffusion(DIGITS, DDIM(), UNet(DIGITS, CHANNELS[8]), objective=LearnedVariance(Epsilon())),
            r"needs a backbone of 2 outputs, and backbone\.outputs=1: use backbone\.outputs=2",
        ),
        (
            lambda: diffusion(DIGITS, DDIM(), UNet(DIGITS, CHANNELS[8], outputs=2)),
            r"needs a backbone of 1 outputs, .* use backbone\.outputs=1",
        ),
        (
            lambda: small(schedule=EDM(), objective=LearnedVariance(Epsilon())),
            r"learned_variance needs a schedule of discrete steps: use scheduler=cosine",
        ),
        (
            lambda: diffusion(DIGITS, DDIM(guidance=2.0), UNet(DIGITS, CHANNELS[8]), conditional=False),
            r"model\.conditional=true",
        ),
    ],
)
def test_what_cannot_go_together_is_refused(build, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_without_label_dropout_there_is_no_null_class() -> None:
    model = small(label_dropout=0.0)
    assert model.label.table.weight.shape[0] == 10
    with pytest.raises(ConfigError, match="give labels"):
        model.sample(SeededNoise(0, range(2)), Condition())


def test_autoguidance_pushes_away_from_the_worse_model_at_its_own_cost() -> None:
    good, worse = small(DDIM(2, guidance=3.0, guidance_run="worse")), small(DDIM(2))
    condition = Condition(torch.arange(4))
    good.guide_by(worse)
    assert good.networks == (good.backbone, worse.backbone)
    assert not any(parameter is other for parameter in good.parameters() for other in worse.parameters())
    x, t = torch.randn(4, *good.spec.shape), torch.tensor(0.5, dtype=torch.float64)
    guided, alone, other = (
        model.denoiser(condition, 4, guide, "none")(x, t)
        for model, guide in ((good, Guidance(3.0)), (good, Guidance()), (worse, Guidance()))
    )
    torch.testing.assert_close(guided, other + 3.0 * (alone - other))


def test_autoguidance_needs_a_scale_and_the_same_images() -> None:
    with pytest.raises(ConfigError, match=r"guides nothing at sampler\.guidance=1"):
        DDIM(2, guidance_run="worse")
    model = small(DDIM(2, guidance=2.0, guidance_run="worse"), label_dropout=0.0)
    other = diffusion(ImageSpec(1, 8, 8), DDIM(2), UNet(ImageSpec(1, 8, 8), CHANNELS[8], 1), conditional=False)
    with pytest.raises(ConfigError, match=r"sampler\.guidance_run makes images of .*conditional False"):
        model.guide_by(other)
