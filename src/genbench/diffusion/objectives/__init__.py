"""Objectives: what the network predicts, and how a prediction becomes an image."""

from genbench.diffusion.objectives.base import Objective
from genbench.diffusion.objectives.learned_variance import LearnedVariance
from genbench.diffusion.objectives.predictions import EDM, X0, Epsilon, V, Velocity

__all__ = ["EDM", "X0", "Epsilon", "LearnedVariance", "Objective", "V", "Velocity"]
