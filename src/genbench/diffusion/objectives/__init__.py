"""Objectives: what the network predicts, how errors are weighted, and how a prediction becomes an image."""

from genbench.diffusion.objectives.base import Objective
from genbench.diffusion.objectives.epsilon import Epsilon

__all__ = ["Epsilon", "Objective"]
