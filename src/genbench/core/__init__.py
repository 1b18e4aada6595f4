"""The words every other package speaks: images, batches, noise, models and what they optimise."""

from genbench.core.batch import Batch, Condition
from genbench.core.conditioning import Conditioning
from genbench.core.counts import Count, Share
from genbench.core.errors import ConfigError, DataError, GenbenchError, RunError, TrainingError
from genbench.core.first_stage import FirstStage
from genbench.core.model import Autoencoder, GenerativeModel, HasLikelihood, Likelihood, TrainStep
from genbench.core.noise import Noise, SeededNoise, StreamNoise
from genbench.core.spec import ImageSpec

__all__ = [
    "Autoencoder",
    "Batch",
    "Condition",
    "Conditioning",
    "ConfigError",
    "Count",
    "DataError",
    "FirstStage",
    "GenbenchError",
    "GenerativeModel",
    "HasLikelihood",
    "ImageSpec",
    "Likelihood",
    "Noise",
    "RunError",
    "SeededNoise",
    "Share",
    "StreamNoise",
    "TrainStep",
    "TrainingError",
]
