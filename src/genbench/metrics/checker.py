"""Do pictures show what their captions say?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from genbench.core import DataError
from genbench.metrics.base import Evidence, Metric, Score, Scores
from genbench.metrics.resampling import of_rate
from genbench.shapes import SKILLS, OutsideGrammarError, Verdict, parse
from genbench.shapes import Checker as Reader
from genbench.shapes.combinations import Combination, asked

PARTS = ("", "_held_out")
"""Prompts all of whose combinations the training captions name, and the others."""

KEYS = tuple(f"{skill}{part}" for skill in ("overall", *SKILLS) for part in PARTS)
"""All scores of pictures whose captions can be judged."""


class Checker(Metric):
    """`overall` and a score per skill: the fraction of samples that show exactly what their caption says, in [0,1].

    Every caption asks for one of the `SKILLS`, as in GenEval (Ghosh et al. 2023); a score is None where none does.
    Score K is over captions all of whose combinations (a colour and a shape; two shapes and the relation between them)
    some training caption names, `K_held_out` over the others. Captions outside the grammar are neither right nor
    wrong: `cannot_judge` is their fraction, and the other scores are over the rest. Errors are binomial. All None for
    samples that were not asked for captions.

    Raises:
        DataError: pictures that are not square, or not in colour.
    """

    keys = (*KEYS, "cannot_judge")
    needs_images = True
    needs_captions = True

    def __call__(self, evidence: Evidence) -> Scores:
        samples = evidence.samples
        if samples.caption is None or samples.image is None:
            return {key: Score(None) for key in self.keys}
        _, channels, height, width = samples.image.shape
        if channels != 3 or height != width:
            raise DataError(
                f"metric.checker reads square pictures in colour, these are {height}x{width}x{channels}: "
                "choose other metrics, such as metric=[fd]"
            )
        taught = evidence.taught or ()
        reader = Reader.of_captions([*samples.caption, *taught])
        verdicts = [reader(image, text) for image, text in zip(samples.image, samples.caption, strict=True)]
        return _scores(verdicts, _combinations(taught))


DETAILS = frozenset(f"{skill}{part}" for skill in SKILLS for part in PARTS[1:])
"""Scores that are kept with a result, but are too many for a table."""


def _combinations(captions: Iterable[str]) -> set[Combination]:
    """What these captions name, as far as they are captions of the grammar."""
    found: set[Combination] = set()
    for caption in set(captions):
        try:
            found |= asked(parse(caption))
        except OutsideGrammarError:
            continue
    return found


def _scores(verdicts: Sequence[Verdict], taught: set[Combination]) -> Scores:
    hits: dict[str, list[bool]] = {key: [] for key in KEYS}
    for verdict in verdicts:
        if verdict.claim is not None:
            part = "" if asked(verdict.claim) <= taught else "_held_out"
            for skill in ("overall", verdict.claim.skill):
                hits[skill + part].append(bool(verdict.ok))
    unknown = sum(verdict.claim is None for verdict in verdicts) / len(verdicts)
    scores = {key: _rate(found) for key, found in hits.items()}
    return scores | {"cannot_judge": Score(unknown, of_rate(unknown, len(verdicts)))}


def _rate(found: Sequence[bool]) -> Score:
    if not found:
        return Score(None)
    rate = sum(found) / len(found)
    return Score(rate, of_rate(rate, len(found)))
