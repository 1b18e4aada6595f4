"""Where images to judge come from: a model, a table of stored images, noise."""

from genbench.evaluation.sources.base import ImageSource, SamplingCost
from genbench.evaluation.sources.model import ModelSource
from genbench.evaluation.sources.noise import NoiseSource
from genbench.evaluation.sources.table import Table, TableSource

__all__ = [
    "ImageSource",
    "ModelSource",
    "NoiseSource",
    "SamplingCost",
    "Table",
    "TableSource",
]
