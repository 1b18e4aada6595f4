"""Likelihoods of a diffusion model: bits per dimension at the data's own grey levels, each of a stated kind."""

from genbench.diffusion.likelihoods.base import DiffusionLikelihood
from genbench.diffusion.likelihoods.flow import ProbabilityFlow
from genbench.diffusion.likelihoods.vlb import VariationalBound

__all__ = ["DiffusionLikelihood", "ProbabilityFlow", "VariationalBound"]
