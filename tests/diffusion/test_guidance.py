"""Guidance: its limits, its cost, rescaling and the interval; clipping."""

import pytest
import torch
from torch import Tensor, nn

from genbench.core import Conditioning, ConfigError
from genbench.diffusion.clipping import dynamic, static
from genbench.diffusion.guidance import Guidance
from genbench.diffusion.samplers import DDIM, Heun


class Recorder(nn.Module):
    """A network whose output is its embedding's sum, and which counts the images it evaluates."""

    evaluated = 0

    def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
        self.evaluated += len(x)
        return x * t[:, None, None, None] + condition.vector.sum(1)[:, None, None, None]


LEVEL = torch.tensor(1.0, dtype=torch.float64)


def test_guidance_is_linear_from_unconditional_to_conditional() -> None:
    generator = torch.Generator().manual_seed(0)
    x, t, label, null = (
        torch.randn(3, *s, dtype=torch.float64, generator=generator) for s in ((1, 2, 2), (), (4,), (4,))
    )
    label, null = Conditioning(label), Conditioning(null)
    network = Recorder()
    conditional, unconditional = network(x, t, label), network(x, t, null)
    for scale in (0.0, 1.0, 0.3, 4.0, -1.0):
        expected = (1 - scale) * unconditional + scale * conditional
        torch.testing.assert_close(Guidance(scale)(network, x, t, label, null, LEVEL), expected)


@pytest.mark.parametrize(
    ("guidance", "level", "evaluations"),
    [
        (Guidance(0.0), 1.0, 3),
        (Guidance(1.0), 1.0, 3),
        (Guidance(2.0), 1.0, 6),
        (Guidance(2.0, interval=(0.5, 2.0)), 1.0, 6),
        (Guidance(2.0, interval=(0.5, 2.0)), 0.4, 3),
        (Guidance(2.0, interval=(0.5, 2.0)), 2.1, 3),
    ],
)
def test_guidance_costs_two_evaluations_only_where_it_must(guidance: Guidance, level: float, evaluations: int) -> None:
    network = Recorder()
    zeros = Conditioning(torch.zeros(3, 4))
    guidance(network, torch.zeros(3, 1, 2, 2), torch.ones(3), zeros, zeros, level * LEVEL)
    assert network.evaluated == evaluations


def test_the_interval_is_each_images_own() -> None:
    good, bad = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    guidance = Guidance(3.0, interval=(0.5, 2.0))
    scale = guidance.scale_at(torch.tensor([0.1, 1.0, 5.0], dtype=torch.float64))
    pushed = guidance.push(good, bad, scale)
    torch.testing.assert_close(pushed[[0, 2]], good[[0, 2]])
    torch.testing.assert_close(pushed[1], Guidance(3.0).push(good, bad, 3.0)[1])


def test_rescaling_brings_the_deviation_back() -> None:
    good, bad = torch.randn(2, 5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    deviation = [Guidance(6.0, rescale=phi).push(good, bad, 6.0).flatten(1).std(1) for phi in (0.0, 0.7, 1.0)]
    torch.testing.assert_close(deviation[2], good.flatten(1).std(1))
    # Lin et al. 2024, eq. 16: the mixture of the two
    torch.testing.assert_close(deviation[1], 0.7 * deviation[2] + 0.3 * deviation[0])


def test_what_is_learned_beside_the_image_is_not_pushed() -> None:
    class Two(Recorder):
        def forward(self, x: Tensor, t: Tensor, condition: Conditioning) -> Tensor:
            return super().forward(x, t, condition).repeat(1, 2, 1, 1)

    zeros, ones = Conditioning(torch.zeros(3, 4)), Conditioning(torch.ones(3, 4))
    out = Guidance(3.0)(Two(), torch.zeros(3, 1, 2, 2), torch.ones(3), ones, zeros, LEVEL)
    assert (out[:, :1] == 12.0).all()
    assert (out[:, 1:] == 4.0).all()


def test_impossible_guidance_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sampler\.guidance_rescale is 2"):
        Guidance(rescale=2.0)
    with pytest.raises(ConfigError, match=r"sampler\.guidance_interval is \[3, 1\]"):
        Guidance(interval=(3, 1))


def test_clipping() -> None:
    x = torch.tensor([[-3.0, 0.5, 2.0, 0.1], [-0.5, 0.2, 0.9, 0.0]])[:, None, None]
    assert static(x).flatten(1).tolist() == [[-1.0, 0.5, 1.0, pytest.approx(0.1)], [-0.5, *x[1].flatten()[1:].tolist()]]
    scaled = dynamic(x)
    torch.testing.assert_close(scaled[1], x[1])  # already in range
    limit = torch.quantile(x[0].abs(), 0.995)
    torch.testing.assert_close(scaled[0].flatten(), torch.tensor([-1.0, 0.5 / limit, 2.0 / limit, 0.1 / limit]))


def test_knobs_that_would_change_nothing_are_refused() -> None:
    for knobs in ({"guidance_rescale": 0.5}, {"guidance_interval": (0.2, 5.0)}):
        with pytest.raises(ConfigError, match=r"change nothing at sampler\.guidance=1"):
            DDIM(3, **knobs)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected s_min below s_max"):
        Heun(3, s_churn=10.0, s_min=5.0, s_max=1.0)
