"""How long processes wait for one another."""

from datetime import timedelta

PATIENCE = timedelta(days=1)
"""How long one process waits for another that is still there; one that is gone is noticed at once."""
