"""Files that are numbered in their names."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterable

log = logging.getLogger(__name__)

_COUNTED = re.compile(r"(.*-)(\d+)-of-(\d+)")
_NUMBERED = re.compile(r"(.*(?<!\d))(\d+)(\.[^/]*)?")


def tell_missing(files: Iterable[str]) -> None:
    """Warns of files that are not there although the names of others count them.

    NAME-00002-of-00003 says how many there are; of NAME-000002.tar only holes in the series can be told.
    """
    counted: dict[tuple[str, int], set[int]] = {}
    numbered: dict[tuple[str, str | None], set[int]] = {}
    for file in files:
        if found := _COUNTED.match(file):
            counted.setdefault((found[1], int(found[3])), set()).add(int(found[2]))
        elif found := _NUMBERED.fullmatch(file):
            numbered.setdefault((found[1], found[3]), set()).add(int(found[2]))
    for (stem, of), there in counted.items():
        first = 1 if of in there else 0  # some count from one
        _tell(stem, there, first, first + of)
    for (stem, _), there in numbered.items():
        _tell(stem, there, min(there), max(there) + 1)


def _tell(stem: str, there: set[int], begin: int, end: int) -> None:
    missing = end - begin - sum(begin <= number < end for number in there)
    if missing:
        first = next(number for number in itertools.count(begin) if number not in there)
        log.warning("%d of the %d files %s* are missing, the first is number %d", missing, end - begin, stem, first)
