"""Small tables of features, and how often an interval holds what it should."""

from collections.abc import Callable

import torch
from torch import Tensor

from genbench.metrics import Evidence, FeatureTable, Metric, Moments


def table(features: Tensor, logits: Tensor | None = None, label: Tensor | None = None) -> FeatureTable:
    return FeatureTable(features, torch.zeros(len(features), 0) if logits is None else logits, label, classifies=True)


def of_logits(logits: Tensor, label: Tensor | None = None, classifies: bool = True) -> FeatureTable:
    return FeatureTable(torch.zeros(len(logits), 1), logits, label, classifies)


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


NO_MOMENTS = Moments(torch.zeros(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64), None)


def evidence(
    samples: Tensor | FeatureTable,
    reference: Tensor | FeatureTable,
    train: Tensor | None = None,
    test: Tensor | None = None,
) -> Evidence:
    """The reference's own moments, where it has enough images for them."""
    one, two = (x if isinstance(x, FeatureTable) else table(x) for x in (samples, reference))
    moments = two.moments if len(two) > 1 else NO_MOMENTS
    return Evidence(one, two, moments, *(None if x is None else table(x) for x in (train, test)))


def value(metric: Metric, found: Evidence, key: str) -> float:
    score = metric(found)[key].value
    assert score is not None
    return score


def error(metric: Metric, found: Evidence, key: str) -> float:
    score = metric(found)[key].error
    assert score is not None
    return score


def held(metric: Metric, draw: Callable[[int], Evidence], draws: int) -> dict[str, float]:
    """How often value +- 1.96 errors holds the expected score, the mean over all draws; by key."""
    scores = [metric(draw(seed)) for seed in range(draws)]
    rates = {}
    for key in scores[0]:
        values = torch.tensor([score[key].value for score in scores], dtype=torch.float64)
        errors = torch.tensor([score[key].error for score in scores], dtype=torch.float64)
        rates[key] = float(((values - values.mean()).abs() <= 1.96 * errors).double().mean())
    return rates
