import math

import pytest
import torch
from clouds import evidence, normal
from torch import Tensor

from genbench.core import DataError
from genbench.metrics import FeatureLikelihood
from genbench.metrics import fld as fld_module
from genbench.metrics.mixture import GaussianMixture, _log_densities, _slopes


def fld(samples: Tensor, train: Tensor, test: Tensor) -> tuple[float, float]:
    scores = FeatureLikelihood()(evidence(samples, test, train, test))
    assert scores["fld"].value is not None
    assert scores["fld_gap"].value is not None
    return scores["fld"].value, scores["fld_gap"].value


def test_one_gaussian_has_its_likelihood() -> None:
    mixture = GaussianMixture(torch.zeros(1, 3), torch.tensor([math.log(4.0)]))
    x = torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    expected = 0.5 * math.log(2 * math.pi * 4.0) + 0.5 * (9.0 + 0.0) / 2 / 4.0 / 3
    assert mixture.nll(x) == pytest.approx(expected, rel=1e-6)
    doubled = GaussianMixture(torch.zeros(2, 3), torch.full((2,), math.log(4.0)))
    assert doubled.nll(x) == pytest.approx(expected, rel=1e-6)


def test_the_slopes_are_those_of_the_likelihood() -> None:
    x, centres = normal(40, 3, 0), normal(7, 3, 1)
    squared, far = torch.cdist(x, centres).square(), 0.81 * x.square().sum(1)
    log_variance = (0.3 * normal(7, 1, 2)[:, 0]).requires_grad_()
    spread = torch.tensor(0.2, requires_grad=True)
    logs = _log_densities(squared, log_variance, 3) - math.log(7)
    loss = -torch.cat([logs, (-0.5 * far * (-spread).exp() - 1.5 * spread)[:, None]], 1).logsumexp(1).mean() / 3
    expected = torch.autograd.grad(loss, (log_variance, spread))
    found = _slopes(squared, far, log_variance.detach(), spread.detach(), 3)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_one_component_is_fitted_to_the_variance_of_the_data() -> None:
    data = 1.5 * normal(4000, 10, 0)
    data -= data.mean(0)
    mixture = GaussianMixture.fitted(torch.zeros(1, 10), data)
    # the background takes a part of the data, and has their variance too
    assert mixture.log_variance.exp().item() == pytest.approx(2.25, rel=0.1)


def test_copies_have_a_large_negative_gap_and_new_samples_none() -> None:
    train, test, new = (normal(400, 8, seed) for seed in range(3))
    fresh, gap = fld(new, train, test)
    copied, copied_gap = fld(train, train, test)
    blurred, blurred_gap = fld(train + 0.05 * normal(400, 8, 9), train, test)
    assert abs(gap) < 25.0
    assert copied_gap < -100.0
    assert copied_gap < blurred_gap < gap - 20.0
    assert fresh < blurred < copied


def test_worse_samples_score_higher() -> None:
    def modes(n: int, seed: int) -> Tensor:
        return normal(n, 8, seed) + 4.0 * (torch.arange(n)[:, None] % 2)

    train, test, good = modes(400, 0), modes(300, 1), modes(300, 2)
    one_mode, too_wide = good[::2], 3.0 * normal(300, 8, 2)
    found = [fld(samples, train, test)[0] for samples in (good, one_mode, too_wide)]
    assert found[0] < min(found[1:]) - 10.0
    assert abs(found[0]) < 10.0


def test_it_is_deterministic_and_of_the_scale_of_no_feature() -> None:
    train, test, samples = normal(200, 4, 0), normal(100, 4, 1), normal(150, 4, 2)
    scale = torch.tensor([1.0, 10.0, 0.01, 500.0])
    first = fld(samples, train, test)
    assert fld(samples, train, test) == first
    assert fld(samples * scale + 3.0, train * scale + 3.0, test * scale + 3.0) == pytest.approx(first, abs=0.5)


def test_the_baseline_is_fitted_once_for_sets_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    fitted = GaussianMixture.fitted
    monkeypatch.setattr(
        fld_module.GaussianMixture,
        "fitted",
        lambda centres, data: sizes.append((len(centres), len(data))) or fitted(centres, data),
    )
    metric = FeatureLikelihood()
    found = evidence(normal(30, 3, 0), normal(50, 3, 1), normal(80, 3, 2), normal(50, 3, 1))
    assert metric(found) == metric(found)
    assert sizes == [(30, 80), (30, 50), (30, 80)]


def test_without_splits_there_is_none_and_too_few_are_refused() -> None:
    scores = FeatureLikelihood()(evidence(normal(30, 3, 0), normal(30, 3, 1)))
    assert [scores["fld"].value, scores["fld_gap"].value] == [None, None]
    with pytest.raises(DataError, match=r"19 samples .*at least 20"):
        fld(normal(19, 3, 0), normal(30, 3, 1), normal(30, 3, 2))
    with pytest.raises(DataError, match=r"5 training images .*at least 20"):
        fld(normal(30, 3, 0), normal(5, 3, 1), normal(30, 3, 2))
