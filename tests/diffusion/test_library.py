"""diffusers' schedulers with our schedule: the right Gaussian, per-image noise, and what cannot be expressed."""

import functools

import pytest
import torch
from exact import NORMAL
from torch import Tensor

from genbench.core import ConfigError, SeededNoise
from genbench.diffusion.samplers import DDIM, DiffusersSampler
from genbench.diffusion.samplers.library import FLOW, VARIANCE_PRESERVING, betas
from genbench.diffusion.schedules import EDM, Cosine, Flow, Linear, NoiseSchedule, Sigmoid

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
N = 1000


@functools.cache
def normals() -> Tensor:
    """Starting points of exactly zero mean and unit deviation."""
    x = torch.randn(N, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    return (x - x.mean()) / x.std()


@pytest.mark.parametrize("schedule", [Linear(500), Cosine()], ids=["linear", "cosine"])
@pytest.mark.parametrize("scheduler", VARIANCE_PRESERVING)
def test_moments_of_a_gaussian(scheduler: str, schedule: NoiseSchedule) -> None:
    """With the library's own betas or spacing the mean stays off, however many steps are made."""
    sampler = DiffusersSampler(50, scheduler=scheduler)
    sampler.fit(schedule)
    out = sampler(NORMAL.denoiser(schedule), schedule, normals(), SeededNoise(0, range(N)))
    random = any(word in scheduler for word in ("Ancestral", "DDPM", "SASolver"))
    assert out.mean().item() == pytest.approx(0.3, abs=0.05 if random else 0.002)
    assert out.std().item() == pytest.approx(0.5, abs=0.05)


def test_its_betas_are_ours_in_double_precision() -> None:
    torch.testing.assert_close(
        betas(Linear(), 1000), torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), rtol=1e-9, atol=0
    )
    for schedule in (Cosine(), Sigmoid(), Cosine(shift=2.0)):
        alpha, _ = schedule.alpha_sigma(torch.arange(1, 1001, dtype=torch.float64) / 1000)
        torch.testing.assert_close((1 - betas(schedule, 1000)).cumprod(0), alpha**2, rtol=1e-9, atol=0)


@pytest.mark.parametrize("steps", [1, 10, 50])
def test_their_ddim_is_ours(steps: int) -> None:
    for schedule in (Linear(), Cosine(), Sigmoid()):
        theirs, ours = DiffusersSampler(steps, scheduler="DDIMScheduler"), DDIM(steps)
        images = [s(NORMAL.denoiser(schedule), schedule, normals(), SeededNoise(0, range(N))) for s in (theirs, ours)]
        # one step divides by alpha = 0.006 at most noise, and with it the rounding of 32 bits
        torch.testing.assert_close(*images, rtol=0, atol=1e-3 if steps == 1 else 2e-4)


def test_their_flow_is_ours() -> None:
    for schedule in (Flow(), Flow(shift=3.0)):
        sampler = DiffusersSampler(12, scheduler=FLOW)
        sampler.fit(schedule)
        theirs = sampler(NORMAL.denoiser(schedule), schedule, normals(), SeededNoise(0, range(N)))
        ours = DDIM(12)(NORMAL.denoiser(schedule), schedule, normals(), SeededNoise(0, range(N)))
        torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5)


def test_random_steps_are_each_images_own() -> None:
    sampler, schedule, x = DiffusersSampler(4, scheduler="DDPMScheduler"), Cosine(), normals()[:5]
    together = sampler(NORMAL.denoiser(schedule), schedule, x, SeededNoise(0, range(5)))
    alone = sampler(NORMAL.denoiser(schedule), schedule, x[3:4], SeededNoise(0, [3]))
    torch.testing.assert_close(alone[0], together[3], rtol=0, atol=0)
    assert not torch.equal(together, sampler(NORMAL.denoiser(schedule), schedule, x, SeededNoise(1, range(5))))


@pytest.mark.parametrize(
    ("sampler", "schedule", "message"),
    [
        (DiffusersSampler(), EDM(), "cannot walk this schedule: .* goes with scheduler=flow"),
        (DiffusersSampler(), Flow(), "cannot walk this schedule"),
        (DiffusersSampler(), Cosine(steps=None), "cannot walk this schedule"),
        (DiffusersSampler(scheduler=FLOW), Cosine(), "cannot walk this schedule"),
        (DiffusersSampler(scheduler="LCMScheduler"), Cosine(), "sampler.scheduler=LCMScheduler: choose one of DDIM"),
        (DiffusersSampler(80, scheduler="DDIMScheduler"), Cosine(), "divide scheduler.steps=1000, which 80"),
        (DiffusersSampler(grid="karras"), Cosine(), "use sampler.grid=uniform instead of karras"),
        (DiffusersSampler(options={"solver": 1}), Cosine(), r"\['solver'\], which UniPCMultistepScheduler does not"),
    ],
)
def test_what_cannot_be_expressed_is_refused(sampler: DiffusersSampler, schedule: NoiseSchedule, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sampler.fit(schedule)


def test_options_reach_the_scheduler() -> None:
    schedule, one = Cosine(), SeededNoise(0, range(N))
    images = [
        DiffusersSampler(8, options=o)(NORMAL.denoiser(schedule), schedule, normals(), one)
        for o in ({}, {"solver_order": 3}, {"solver_order": 1})
    ]
    assert (images[0] - images[1]).abs().max() > 1e-4
    assert (images[0] - images[2]).abs().max() > 1e-4
