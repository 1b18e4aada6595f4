"""Judgement: images of any source, one protocol, the same features and metrics for all."""

from genbench.evaluation.protocol import Protocol, short_hash
from genbench.evaluation.reference import Reference
from genbench.evaluation.runner import Judge, Result

__all__ = ["Judge", "Protocol", "Reference", "Result", "short_hash"]
