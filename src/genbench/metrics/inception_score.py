"""Inception score."""

from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

from genbench.core import ConfigError, DataError
from genbench.metrics.base import Metric, Scores
from genbench.metrics.table import FeatureTable


class InceptionScore(Metric):
    """`is` = exp E KL(p(y|x) | p(y)), the mean over `splits` shuffled parts (Salimans et al. 2016, section 4).

    Between 1 and the number of classes. The numerics and the shuffle, seeded, are torch-fidelity's.

    Raises:
        ConfigError: no splits.
    """

    def __init__(self, splits: int = 10) -> None:
        if splits < 1:
            raise ConfigError(f"protocol.is_splits is {splits}; expected at least 1 (10 is the common choice)")
        self.splits = splits

    def __call__(self, samples: FeatureTable, reference: FeatureTable) -> Scores:
        if len(samples) < self.splits:
            raise DataError(
                f"{len(samples)} samples cannot be cut into {self.splits} parts for the inception score: raise "
                f"protocol.samples, or set protocol.is_splits={len(samples)} or less"
            )
        return {"is": isc_features_to_metric(samples.logits, splits=self.splits)[KEY_METRIC_ISC_MEAN]}
