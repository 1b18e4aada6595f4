"""Feature extractors: what images are compared by, each with the fingerprint of its weights."""

from genbench.features.base import FeatureExtractor
from genbench.features.domain import DomainClassifier
from genbench.features.inception import Inception
from genbench.features.pixels import Pixels
from genbench.features.vision import CLIP, DINOv2

__all__ = ["CLIP", "DINOv2", "DomainClassifier", "FeatureExtractor", "Inception", "Pixels"]
