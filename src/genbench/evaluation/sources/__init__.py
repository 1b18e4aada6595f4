"""Where images to judge come from: a model, stored images, any iterable, and controls of known worth."""

from genbench.evaluation.sources.base import ImageSource, SamplingCost
from genbench.evaluation.sources.blur import BlurSource
from genbench.evaluation.sources.captioned import ChanceSource, RetrievalSource
from genbench.evaluation.sources.iterable import IterableSource
from genbench.evaluation.sources.model import ModelSource
from genbench.evaluation.sources.noise import NoiseSource
from genbench.evaluation.sources.one_mode import OneModeSource
from genbench.evaluation.sources.table import Table, TableSource

__all__ = [
    "BlurSource",
    "ChanceSource",
    "ImageSource",
    "IterableSource",
    "ModelSource",
    "NoiseSource",
    "OneModeSource",
    "RetrievalSource",
    "SamplingCost",
    "Table",
    "TableSource",
]
