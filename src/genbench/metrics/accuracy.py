"""Do conditional samples show the class that was asked for?"""

from genbench.metrics.base import Metric, Scores
from genbench.metrics.table import FeatureTable


class Accuracy(Metric):
    """`accuracy`: the fraction of samples that the extractor gives the class asked for, in [0,1].

    None for samples without labels, and over extractors that do not know the data's classes.
    """

    def __call__(self, samples: FeatureTable, reference: FeatureTable) -> Scores:
        if samples.label is None or not samples.classifies:
            return {"accuracy": None}
        return {"accuracy": float((samples.logits.argmax(1) == samples.label).double().mean())}
