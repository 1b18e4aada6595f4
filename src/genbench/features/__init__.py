"""Feature extractors: what images are compared by, each with the fingerprint of its weights."""

from genbench.features.base import FeatureExtractor
from genbench.features.domain import DomainClassifier
from genbench.features.inception import Inception

__all__ = ["DomainClassifier", "FeatureExtractor", "Inception"]
