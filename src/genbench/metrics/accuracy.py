"""Do conditional samples show the class that was asked for?"""

from genbench.metrics.base import Evidence, Metric, Score, Scores
from genbench.metrics.resampling import of_rate


class Accuracy(Metric):
    """`accuracy`: the fraction of samples that the extractor gives the class asked for, in [0,1].

    None for samples without labels, and over extractors that do not know the data's classes.
    """

    keys = ("accuracy",)
    needs_labels = True

    def __call__(self, evidence: Evidence) -> Scores:
        samples = evidence.samples
        if samples.label is None or not samples.classifies:
            return {"accuracy": Score(None)}
        rate = float((samples.logits.argmax(1) == samples.label).double().mean())
        return {"accuracy": Score(rate, of_rate(rate, len(samples)))}
