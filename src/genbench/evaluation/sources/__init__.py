"""Where images to judge come from: a model, a dataset, a folder, an archive, noise."""

from genbench.evaluation.sources.base import ImageSource, SamplingCost
from genbench.evaluation.sources.model import ModelSource
from genbench.evaluation.sources.noise import NoiseSource
from genbench.evaluation.sources.stored import FolderSource, NpzSource, Table, TableSource

__all__ = [
    "FolderSource",
    "ImageSource",
    "ModelSource",
    "NoiseSource",
    "NpzSource",
    "SamplingCost",
    "Table",
    "TableSource",
]
