"""Arguments that Hydra would misread: prompts, where any text is meant as it stands, and what is searched."""

import re
from collections.abc import Sequence

KEY = "prompt="
SEARCHED = "sweep.searched"


def quoted(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments with a prompt quoted as Hydra's grammar asks, unless it is quoted already.

    Commas, brackets and the like are words of a prompt and not Hydra's.
    """
    return [KEY + quote(a.removeprefix(KEY)) if a.startswith(KEY) else a for a in arguments]


def quote(text: str) -> str:
    """A text quoted as Hydra's grammar asks, unless it is quoted already."""
    if text == "null" or re.fullmatch(r"'.*'|\".*\"", text, re.DOTALL):
        return text
    # backslashes mean something before a quote or an interpolation only
    escaped = re.sub(r"(\\*)('|\$\{)", lambda found: 2 * found[1] + "\\" + found[2], text)
    return "'" + re.sub(r"(\\+)\Z", lambda found: 2 * found[1], escaped) + "'"


def gathered(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments with those in sweep syntax as a list of one key: Hydra takes them in multirun only."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    parser = OverridesParser.create()
    searched: list[str] = []
    others: list[str] = []
    for argument in arguments:
        try:
            swept = "=" in argument[1:] and parser.parse_override(argument).is_sweep_override()
        except OverrideParseException:  # Hydra will explain it
            swept = False
        (searched if swept else others).append(argument)
    return [*others, f"{SEARCHED}=[{','.join(map(quote, searched))}]"] if searched else others
