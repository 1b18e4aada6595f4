"""A real SLURM for the tests that submit to one."""

import os
from collections.abc import Iterator

import private_slurm
import pytest


@pytest.fixture(scope="session")
def slurm() -> Iterator[dict[str, str]]:
    """The environment of a SLURM's users; skipped where it is not installed, unless it must be."""
    if lacking := private_slurm.missing():
        told = f"no SLURM here: {', '.join(lacking)} not found (Debian: apt-get install slurm-wlm munge)"
        pytest.fail(told) if "GENBENCH_NEEDS_SLURM" in os.environ else pytest.skip(told)
    with private_slurm.running() as environment:
        yield environment
