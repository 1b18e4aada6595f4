"""Objectives: what a perfect network's output stands for. Guidance: its limits, and its cost."""

import pytest
import torch
from torch import Tensor, nn

from genbench.diffusion.guidance import guided
from genbench.diffusion.objectives import Epsilon, Objective
from genbench.diffusion.schedules import Cosine, Linear, NoiseSchedule


@pytest.mark.parametrize("objective", [Epsilon()])
@pytest.mark.parametrize("schedule", [Linear(), Cosine()])
def test_the_target_denoises_to_the_image(objective: Objective, schedule: NoiseSchedule) -> None:
    generator = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(1000, 1, 2, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    t = torch.arange(1, 1001, dtype=torch.float64)[:, None, None, None] / 1000
    alpha, sigma = schedule.alpha_sigma(t)
    xt = alpha * x0 + sigma * eps
    output = objective.target(x0, eps, alpha, sigma)
    torch.testing.assert_close(objective.to_denoised(output, xt, alpha, sigma), x0, rtol=0, atol=1e-12)
    assert (objective.weight(alpha, sigma) > 0).all()


class Recorder(nn.Module):
    """A network whose output is its embedding's sum, and which counts the images it evaluates."""

    evaluated = 0

    def forward(self, x: Tensor, t: Tensor, embedding: Tensor) -> Tensor:
        self.evaluated += len(x)
        return x * t[:, None, None, None] + embedding.sum(1)[:, None, None, None]


def test_guidance_is_linear_from_unconditional_to_conditional() -> None:
    generator = torch.Generator().manual_seed(0)
    x, t, label, null = (
        torch.randn(3, *s, dtype=torch.float64, generator=generator) for s in ((1, 2, 2), (), (4,), (4,))
    )
    network = Recorder()
    conditional, unconditional = network(x, t, label), network(x, t, null)
    for scale in (0.0, 1.0, 0.3, 4.0, -1.0):
        expected = (1 - scale) * unconditional + scale * conditional
        torch.testing.assert_close(guided(network, x, t, label, null, scale), expected)


@pytest.mark.parametrize(("scale", "evaluations"), [(0.0, 3), (1.0, 3), (2.0, 6)])
def test_guidance_costs_two_evaluations_only_where_it_must(scale: float, evaluations: int) -> None:
    network = Recorder()
    guided(network, torch.zeros(3, 1, 2, 2), torch.ones(3), torch.zeros(3, 4), torch.zeros(3, 4), scale)
    assert network.evaluated == evaluations
