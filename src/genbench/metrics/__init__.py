"""Metrics: each a function from two feature tables to numbers."""

from genbench.metrics.accuracy import Accuracy
from genbench.metrics.base import Metric, Scores
from genbench.metrics.frechet import FrechetDistance
from genbench.metrics.inception_score import InceptionScore
from genbench.metrics.table import FeatureTable

__all__ = ["Accuracy", "FeatureTable", "FrechetDistance", "InceptionScore", "Metric", "Scores"]
