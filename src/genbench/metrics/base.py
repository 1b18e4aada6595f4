"""The contract of a metric."""

from abc import ABC, abstractmethod

from genbench.metrics.table import FeatureTable

Scores = dict[str, float | None]
"""Numbers by name; None where the metric does not apply to these samples."""


class Metric(ABC):
    """A number or several from the features of samples and of reference images."""

    @abstractmethod
    def __call__(self, samples: FeatureTable, reference: FeatureTable) -> Scores:
        """The scores of `samples`.

        Raises:
            DataError: too few images for this metric.
        """
