"""A metric of captions is refused before training on data without them."""

import pytest

from genbench.app.rules import check_rules
from genbench.core import ConfigError

CHECKER = {"metric": {"checker": {"_target_": "genbench.metrics.Checker"}}}
SPEC = {"channels": 3, "height": 16, "width": 16}


def test_the_checker_needs_captions():
    with pytest.raises(ConfigError, match=r"metric checker judges by captions, and the data have none: .*data=shapes"):
        check_rules(CHECKER | {"data": {"spec": SPEC}})
    check_rules(CHECKER | {"data": {"spec": SPEC | {"captions": True}}})
    check_rules(CHECKER | {"data": {"spec": None}})  # told once the data are open
    check_rules({"metric": {"fd": {"_target_": "genbench.metrics.FrechetDistance"}}, "data": {"spec": SPEC}})
