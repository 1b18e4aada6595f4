"""Muon: steps of orthogonal matrices, Adam's for the rest, and states that are kept."""

import copy

import pytest
import torch
from tiny_trainings import Regression, fit
from torch import nn

from genbench.core import Batch, Noise
from genbench.core.model import Losses
from genbench.training.lr import Cosine
from genbench.training.module import TrainingModule
from genbench.training.muon import Muon


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 20), nn.GELU(), nn.Conv1d(1, 2, 3), nn.Linear(18, 4, bias=False))


def step(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    optimizer.zero_grad()
    x = torch.randn(8, 1, 12, generator=torch.Generator().manual_seed(seed))
    net(x).square().mean().backward()
    optimizer.step()


def test_a_step_of_a_matrix_has_equal_singular_values_and_the_size_of_adams() -> None:
    net = network()
    before = [p.detach().clone() for p in net.parameters()]
    for parameter in net.parameters():
        parameter.grad = torch.randn(parameter.shape)
    Muon(net.parameters(), lr=0.1).step()
    moved = 0
    for parameter, old in zip(net.parameters(), before, strict=True):
        if parameter.ndim == 2:
            values = torch.linalg.svdvals((old - parameter.detach()) / (0.1 * 0.2 * max(parameter.shape) ** 0.5))
            # five iterations in bfloat16 leave them between about 0.7 and 1.2 (Jordan et al. 2024)
            assert values.min() > 0.6
            assert values.max() < 1.3
            moved += 1
    assert moved == 2


@pytest.mark.parametrize("fused", [None, True])
def test_all_else_steps_as_adamw(fused: bool | None) -> None:
    ours, theirs = network(), network()
    others = [p for p in theirs.parameters() if p.ndim != 2]
    optimizer = Muon(ours.parameters(), lr=0.1, betas=(0.8, 0.9), weight_decay=0.1, fused=fused)
    adamw = torch.optim.AdamW(others, lr=0.1, betas=(0.8, 0.9), weight_decay=0.1, fused=fused)
    for _ in range(3):
        for left, right in zip(ours.parameters(), theirs.parameters(), strict=True):
            left.grad = torch.randn(left.shape)
            right.grad = left.grad.clone()
        optimizer.step()
        adamw.step()
    for left, right in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (left.ndim == 2) is not torch.equal(left, right)


def test_a_loaded_state_goes_on_bit_for_bit() -> None:
    net = network()
    optimizer = Muon(net.parameters(), lr=0.1)
    for seed in range(3):
        step(net, optimizer, seed)
    again = copy.deepcopy(net)
    resumed = Muon(again.parameters(), lr=0.5)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for seed in range(3, 6):
        for group, other in zip(optimizer.param_groups, resumed.param_groups, strict=True):
            group["lr"] = other["lr"] = 0.1 / seed  # what a schedule does
        step(net, optimizer, seed)
        step(again, resumed, seed)
    for left, right in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("kind", [nn.Linear(3, 4, bias=False), nn.LayerNorm(3)])
def test_networks_of_one_kind_of_parameter(kind: nn.Module) -> None:
    before = copy.deepcopy(kind)
    optimizer = Muon(kind.parameters(), lr=0.1)
    kind(torch.randn(5, 3)).square().mean().backward()
    optimizer.step()
    assert not torch.equal(next(kind.parameters()), next(before.parameters()))


@pytest.mark.parametrize(
    ("wrong", "named"), [({"lr": -1.0}, r"[Ll]earning rate"), ({"momentum": 1.5}, "momentum is 1.5; expected")]
)
def test_values_that_cannot_be_are_refused(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Muon(network().parameters(), **{"lr": 0.1} | wrong)


class Refining(Regression):
    """A model with a matrix and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(64))

    def loss(self, batch: Batch, noise: Noise) -> Losses:
        return {"loss": (self.table(batch.label) + self.shift - batch.image.flatten(1)).square().mean()}


def fresh() -> Refining:
    torch.manual_seed(0)
    return Refining()


def trained(images: int, accumulate: int = 1) -> Refining:
    model = fresh()
    ours = TrainingModule(model, lambda p: Muon(p, lr=0.01), Cosine(warmup=100), images, accumulate=accumulate)
    fit(ours, images, [])
    return model


def test_pieces_of_a_batch_change_no_more_than_its_rounding() -> None:
    whole, pieces = trained(640), trained(640, accumulate=5)
    for left, right, start in zip(whole.parameters(), pieces.parameters(), fresh().parameters(), strict=True):
        moved = (left - start).abs().max()
        assert moved > 0.01
        assert (left - right).abs().max() < 0.02 * moved
