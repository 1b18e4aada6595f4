"""Do conditional samples show the class that was asked for?"""

from genbench.metrics.base import Evidence, Metric, Score, Scores


class Accuracy(Metric):
    """`accuracy`: the fraction of samples that the extractor gives the class asked for, in [0,1].

    None for samples without labels, and over extractors that do not know the data's classes.
    """

    def __call__(self, evidence: Evidence) -> Scores:
        samples = evidence.samples
        if samples.label is None or not samples.classifies:
            return {"accuracy": Score(None)}
        rate = float((samples.logits.argmax(1) == samples.label).double().mean())
        # the binomial standard error: what resampling the hits and misses converges to
        return {"accuracy": Score(rate, (rate * (1.0 - rate) / len(samples)) ** 0.5)}
