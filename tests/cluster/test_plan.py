"""The arithmetic of the plan for a cluster, by closed forms."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

PLAN = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "plan.py")))
EXACT = PLAN.Machine(flops=1e12, nvlink=1e10, network=1e9, latency=0.0, floor=0.0)
WORK = PLAN.Workload("w", params=2.5e8, flops=1e10, batch=64)


def test_a_ring_sends_the_gradients_almost_twice_by_its_slowest_link() -> None:
    assert PLAN.all_reduce_seconds(1e9, 1, EXACT) == 0.0
    assert PLAN.all_reduce_seconds(1e9, 2, EXACT) == pytest.approx(0.1)
    assert PLAN.all_reduce_seconds(1e9, 8, EXACT) == pytest.approx(2 * 7 / 8 * 0.1)
    assert PLAN.all_reduce_seconds(1e9, 16, EXACT) == pytest.approx(2 * 15 / 16)
    assert PLAN.all_reduce_seconds(1e9, 512, EXACT) == pytest.approx(2.0, rel=2e-3)
    assert PLAN.all_reduce_seconds(0.0, 16, EXACT._replace(latency=1e-6)) == pytest.approx(30e-6)


@pytest.mark.parametrize(("communication", "apart", "overlapped"), [(1.0, 4.0, 3.0), (2.0, 5.0, 3.0), (3.0, 6.0, 4.0)])
def test_two_thirds_of_a_step_hide_communication(communication: float, apart: float, overlapped: float) -> None:
    assert PLAN.step_seconds(3.0, communication, overlap=False) == pytest.approx(apart)
    assert PLAN.step_seconds(3.0, communication, overlap=True) == pytest.approx(overlapped)


def test_efficiency_is_computation_over_the_whole_step() -> None:
    # 8 images of 10 ms against 2 x 7/8 x 0.1 s of messages
    assert PLAN.efficiency(WORK, 8, 8, EXACT, False, 64) == pytest.approx(0.08 / (0.08 + 0.175))
    assert PLAN.efficiency(WORK, 8, 8, EXACT, True, 64) == pytest.approx(0.08 / (0.08 + 0.175 - 0.08 * 2 / 3))
    # steps that cannot be shorter: an eighth of the work in the time of all of it
    slow = EXACT._replace(floor=0.64, nvlink=float("inf"))
    assert PLAN.efficiency(WORK, 8, 8, slow, False, 64) == pytest.approx(1 / 8)
    assert PLAN.efficiency(WORK, 8, 8, slow, False, 8) == pytest.approx(1.0)


def test_limits_are_named() -> None:
    assert PLAN.limits(WORK, 32, 8, EXACT) == ""
    assert PLAN.limits(WORK, 8, 8, EXACT) == "network"
    assert PLAN.limits(WORK, 0.5, 128, EXACT._replace(floor=0.01)) == "batch, launch, network"


def test_the_published_operations_of_dit_are_multiply_adds() -> None:
    width, layers, tokens = 1152, 28, 256
    matrices, attention, modulation = 12 * width**2 * tokens, 2 * tokens**2 * width, 6 * width**2
    forward = 2 * layers * (matrices + attention + modulation)
    assert PLAN.dit_xl_2().flops == pytest.approx(3 * forward, rel=1e-3)
