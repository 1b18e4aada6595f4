"""Metrics: each a function from features of samples and references to numbers with their standard errors."""

from genbench.metrics.accuracy import Accuracy
from genbench.metrics.base import Evidence, Metric, Score, Scores
from genbench.metrics.cas import ClassificationAccuracyScore
from genbench.metrics.checker import Checker
from genbench.metrics.clip_score import ClipScore
from genbench.metrics.cmmd import Cmmd
from genbench.metrics.density_coverage import DensityCoverage
from genbench.metrics.fd_infinity import FrechetDistanceInfinity
from genbench.metrics.fld import FeatureLikelihood
from genbench.metrics.frechet import FrechetDistance
from genbench.metrics.inception_score import InceptionScore
from genbench.metrics.kid import KernelDistance
from genbench.metrics.lpips_diversity import LpipsDiversity
from genbench.metrics.memorisation import Memorisation
from genbench.metrics.moments import Moments
from genbench.metrics.precision_recall import PrecisionRecall
from genbench.metrics.ranges import within_range
from genbench.metrics.table import FeatureTable

__all__ = [
    "Accuracy",
    "Checker",
    "ClassificationAccuracyScore",
    "ClipScore",
    "Cmmd",
    "DensityCoverage",
    "Evidence",
    "FeatureLikelihood",
    "FeatureTable",
    "FrechetDistance",
    "FrechetDistanceInfinity",
    "InceptionScore",
    "KernelDistance",
    "LpipsDiversity",
    "Memorisation",
    "Metric",
    "Moments",
    "PrecisionRecall",
    "Score",
    "Scores",
    "within_range",
]
