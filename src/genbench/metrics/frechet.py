"""Frechet distance between Gaussian fits of the features."""

from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from genbench.core import DataError
from genbench.metrics.base import Metric, Scores
from genbench.metrics.table import FeatureTable


class FrechetDistance(Metric):
    """`fd` = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) in float64; FID over Inception (Heusel et al. 2017, eq. 6).

    The numerics are torch-fidelity's.
    """

    def __call__(self, samples: FeatureTable, reference: FeatureTable) -> Scores:
        moments = [_moments(table.features, who) for table, who in ((samples, "samples"), (reference, "reference"))]
        return {"fd": fid_statistics_to_metric(*moments, verbose=False)[KEY_METRIC_FID]}


def _moments(features: Tensor, who: str) -> dict[str, object]:
    if len(features) < 2:
        raise DataError(f"the Frechet distance needs at least 2 {who} images for a covariance, got {len(features)}")
    return fid_features_to_statistics(features.double())  # type: ignore[no-any-return]
