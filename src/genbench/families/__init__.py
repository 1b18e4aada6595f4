"""The model families: each a loss and a way to sample, nothing of data or judgement."""
