"""Diffusion as three orthogonal choices: noise schedule, objective, sampler."""
