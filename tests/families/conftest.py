"""Every family in turn."""

import pytest
from small_models import FAMILIES, Build


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Build:
    """A builder (spec, conditional, channels) -> model, for every family in turn."""
    return FAMILIES[request.param]
