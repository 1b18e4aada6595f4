"""Judgement: images of any source, one protocol, the same features and metrics for all.

Images that are no file's and no run's are judged in a few lines; `batches` is any iterable of uint8 [B,C,H,W]:

    >>> from genbench.data.digits import Digits
    >>> from genbench.evaluation import IterableSource, Judge, Protocol, Reference, TableSource
    >>> from genbench.features import DomainClassifier
    >>> from genbench.metrics import FrechetDistance
    >>> data, extractor = Digits(), DomainClassifier("digits")
    >>> reference = Reference.read(TableSource(data.table("test"), "digits test"), extractor)
    >>> judge = Judge(data.spec, Protocol("mine", samples=200), extractor, {"fd": FrechetDistance()}, reference)
    >>> batches = (data.table("train").take(range(i, i + 50)).image for i in range(0, 200, 50))
    >>> result = judge.evaluate(IterableSource(batches, "theirs"))
    >>> result["fd"] < 20.0 and result["protocol"] == judge.hash
    True
"""

from genbench.evaluation.protocol import Protocol, short_hash
from genbench.evaluation.reference import Reference
from genbench.evaluation.runner import Judge, Result
from genbench.evaluation.sources import IterableSource, TableSource

__all__ = ["IterableSource", "Judge", "Protocol", "Reference", "Result", "TableSource", "short_hash"]
