"""Tab completion: Hydra's own, which knows nothing of our commands, with the command taken out of the line."""

import os
import sys
from collections.abc import Iterable, Sequence

from genbench.app.cli import COMMANDS, OTHERS, SHELLS, run_hydra
from genbench.app.listing import groups, unknown
from genbench.app.paths import conf_dirs, user_dir


def complete() -> int:
    """Prints what may follow the line in COMP_LINE, as the shell's completion function asks."""
    program, *words = os.environ["COMP_LINE"].split(" ")
    if len(words) < 2:
        _offer([*COMMANDS, *OTHERS], words)
    elif words[0] == "list":
        _offer(groups(conf_dirs(words)), words)
    elif words[0] == "completion":
        _offer(SHELLS, words)
    elif words[0] in COMMANDS:
        os.environ["COMP_LINE"] = " ".join([program, *words[1:]])
        own = user_dir(words)
        return run_hydra(words[0], sys.argv[1:] + ([] if own is None else ["--config-dir", str(own)]))
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
