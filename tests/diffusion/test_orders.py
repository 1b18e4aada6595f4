"""Samplers against the exact probability-flow ODE: the measured order is the declared one, on every path."""

import math
from itertools import pairwise

import pytest
import torch
from exact import NORMAL, SCHEDULES, TWO, Mute, Normals, starts
from torch import Tensor

from genbench.diffusion.samplers import (
    DDIM,
    RK4,
    Adaptive,
    DPMSolver2M,
    DPMSolver3M,
    FixedSteps,
    Heun,
    Midpoint,
)
from genbench.diffusion.samplers.grid import lowest_level
from genbench.diffusion.schedules import Linear, NoiseSchedule

DETERMINISTIC: list[type[FixedSteps]] = [DDIM, Heun, DPMSolver2M, DPMSolver3M, Midpoint, RK4]
PATHS = {**SCHEDULES, "linear": Linear(4096)}


def errors(kind: type[FixedSteps], schedule: NoiseSchedule, data: Normals, steps: list[int], grid: str) -> list[float]:
    """Largest distances from where the ODE leads, all the way down or to the last evaluation and its image."""
    x, denoise = starts(schedule), data.denoiser(schedule)
    found = []
    for n in steps:
        sampler = kind(n, grid=grid)
        last = sampler.path(schedule)[-2]
        if kind in (Midpoint, RK4) and last.t > 0.0:  # their last step goes on from there
            expected = data.flow(schedule, x, 0.0 * last.level)
        else:
            expected = denoise(data.flow(schedule, x, last.level), last.t)
        found.append((sampler(denoise, schedule, x, Mute(len(x))) - expected).abs().max().item())
    return found


def slopes(found: list[float]) -> list[float]:
    return [math.log2(a / b) for a, b in pairwise(found)]


@pytest.mark.parametrize("grid", ["log_snr", "karras"])
@pytest.mark.parametrize("kind", DETERMINISTIC)
def test_order_on_a_mixture_where_noise_explodes(kind: type[FixedSteps], grid: str) -> None:
    found = errors(kind, SCHEDULES["edm"], TWO, [64, 128, 256], grid)
    assert slopes(found) == pytest.approx([kind.order] * 2, abs=0.25)


@pytest.mark.parametrize("path", ["linear", "continuous cosine", "shifted flow", "flow"])
@pytest.mark.parametrize("kind", [k for k in DETERMINISTIC if k is not DPMSolver3M])
def test_order_on_a_mixture_on_other_paths(kind: type[FixedSteps], path: str) -> None:
    found = errors(kind, PATHS[path], TWO, [32, 64, 128], "log_snr")
    assert slopes(found) == pytest.approx([kind.order] * 2, abs=0.3)


@pytest.mark.parametrize("kind", [DDIM, Heun, Midpoint, RK4])
def test_order_on_flows_own_times_down_to_the_image(kind: type[FixedSteps]) -> None:
    """The last step, where the slope of the clean image is unknown, costs no order."""
    found = errors(kind, SCHEDULES["flow"], TWO, [32, 64, 128], "uniform")
    assert slopes(found) == pytest.approx([kind.order] * 2, abs=0.25)


@pytest.mark.parametrize("grid", ["uniform", "karras", "log_snr"])
@pytest.mark.parametrize("path", SCHEDULES)
@pytest.mark.parametrize("kind", DETERMINISTIC)
@pytest.mark.parametrize("data", [NORMAL, TWO], ids=["normal", "mixture"])
def test_every_sampler_follows_every_schedule_on_every_grid(
    kind: type[FixedSteps], path: str, grid: str, data: Normals
) -> None:
    """100 steps end within 0.04 of the exact solution (first order) or 0.012 (higher), of data of deviation 0.5."""
    (error,) = errors(kind, SCHEDULES[path], data, [100], grid)
    assert error < (0.04 if kind is DDIM else 0.012)


@pytest.mark.parametrize("path", SCHEDULES)
def test_adaptive_steps_meet_their_tolerance_at_less_cost_than_a_tighter_one(path: str) -> None:
    schedule, x, evaluations, found = SCHEDULES[path], starts(SCHEDULES[path]), [], []
    exact, lowest = TWO.denoiser(schedule), lowest_level(schedule)
    expected = exact(TWO.flow(schedule, x, lowest), schedule.time_of(lowest))
    for tolerance in (1e-2, 1e-4):
        calls = 0

        def denoise(x: Tensor, t: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return exact(x, t)

        out = Adaptive(rtol=tolerance, atol=tolerance / 10)(denoise, schedule, x, Mute(len(x)))
        found.append((out - expected).abs().max().item())
        evaluations.append(calls)
    assert found[0] < 0.06
    assert found[1] < 3e-4
    assert 2 * evaluations[0] < evaluations[1] < 400


def test_an_adaptive_step_is_each_images_own() -> None:
    schedule = SCHEDULES["flow"]
    x, denoise = starts(schedule), TWO.denoiser(schedule)
    together = Adaptive()(denoise, schedule, x, Mute(9))
    for i in (0, 4, 7):
        assert torch.equal(Adaptive()(denoise, schedule, x[i : i + 1], Mute(1))[0], together[i])
