"""The example of the Python API does what it says."""

import doctest

import genbench.evaluation


def test_the_example_runs() -> None:
    found = doctest.testmod(genbench.evaluation)
    assert found.attempted >= 9
    assert found.failed == 0
