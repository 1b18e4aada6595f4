"""Prompts on the command line, where any text is meant as it stands."""

import re
from collections.abc import Sequence

KEY = "prompt="


def quoted(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments with a prompt quoted as Hydra's grammar asks, unless it is quoted already.

    Commas, brackets and the like are words of a prompt and not Hydra's.
    """
    return [KEY + _quote(a.removeprefix(KEY)) if a.startswith(KEY) else a for a in arguments]


def _quote(text: str) -> str:
    if text == "null" or re.fullmatch(r"'.*'|\".*\"", text, re.DOTALL):
        return text
    # backslashes mean something before a quote or an interpolation only
    escaped = re.sub(r"(\\*)('|\$\{)", lambda found: 2 * found[1] + "\\" + found[2], text)
    return "'" + re.sub(r"(\\+)\Z", lambda found: 2 * found[1], escaped) + "'"
