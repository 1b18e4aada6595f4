"""Diffusion and flow as orthogonal choices: schedule, prediction, weighting, times, coupling, sampler, guidance."""
