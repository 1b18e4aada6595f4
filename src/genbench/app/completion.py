"""Tab completion: Hydra's own, which knows nothing of our commands, with the command taken out of the line."""

import os
import sys
from collections.abc import Iterable, Sequence

from genbench.app.cli import COMMANDS, SHELLS, first_words, run_hydra, second_words, split
from genbench.app.listing import groups, unknown
from genbench.app.paths import conf_dirs, own_flags


def complete() -> int:
    """Prints what may follow the line in COMP_LINE, as the shell's completion function asks."""
    program, *words = os.environ["COMP_LINE"].split(" ")
    command, rest = split(words)
    if len(words) < 2:
        _offer(first_words(), words)
    elif command == "list":
        _offer(groups(conf_dirs(words)), words)
    elif command == "completion":
        _offer(SHELLS, words)
    elif len(words) == 2 and second_words(words[0]):
        _offer(second_words(words[0]), words)
    elif command in COMMANDS:
        os.environ["COMP_LINE"] = " ".join([program, *rest])
        return run_hydra(command, sys.argv[1:] + own_flags(words))
    return 0


def _offer(candidates: Iterable[str], words: Sequence[str]) -> None:
    print("\n".join(c for c in candidates if c.startswith("".join(words[-1:]))))


def install(arguments: Sequence[str]) -> None:
    """Prints the shell code that turns completion on."""
    shell = arguments[0] if arguments else "bash"
    if shell not in SHELLS:
        raise SystemExit(unknown("completion for shell", shell, SHELLS))
    # zsh reads bash's code; under `python -m genbench` the script is still called genbench
    sys.argv[0] = "genbench"
    run_hydra("train", ["-sc", f"install={shell}"])
