"""The `genbench` command: `genbench <command> [hydra overrides]`.

Hydra and torch are imported only once a command really runs.
"""

import os
import sys

from genbench import __version__
from genbench.app.listing import description, run_list, table, unknown
from genbench.app.paths import conf_dir, user_dir

COMMANDS = ("train", "sample", "evaluate", "benchmark", "report")
SHELLS = ("bash", "zsh", "fish")
OTHERS = {
    "list": "Show the config groups, or with a group's name its choices",
    "completion": f'Print tab completion for {", ".join(SHELLS)}: eval "$(genbench completion bash)"',
}
COMMAND_VARIABLE = "GENBENCH_COMMAND"


def main() -> int:
    """Runs the command in `sys.argv` and returns the exit code."""
    try:
        return dispatch(sys.argv[1:])
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def dispatch(arguments: list[str]) -> int:
    """The command of the first argument, given the others."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name == "-sc" and "COMP_LINE" in os.environ:
        from genbench.app.completion import complete

        return complete()
    if name not in COMMANDS and "LOCAL_RANK" in os.environ and COMMAND_VARIABLE in os.environ:
        # a process that Lightning started for another device: it repeats our arguments, which lack the command
        name, rest = os.environ[COMMAND_VARIABLE], arguments
    own = user_dir(rest)
    if own is not None and not own.is_dir():
        raise SystemExit(f"error: --config-dir {own} is no folder: give one that holds your model/, data/, ... folders")
    if name in COMMANDS:
        return run_hydra(name, rest)
    if name == "list":
        run_list(rest)
    elif name == "completion":
        from genbench.app.completion import install

        install(rest)
    elif name in ("--help", "-h", "help"):
        print(usage())
    elif name == "--version":
        print(f"genbench {__version__}")
    else:
        raise SystemExit(unknown("command", name, [*COMMANDS, *OTHERS]))
    return 0


def run_hydra(command: str, arguments: list[str]) -> int:
    """Runs one of the Hydra commands, as if it were a script of its own."""
    from genbench.app.entry import run

    sys.argv = [sys.argv[0], *arguments]
    os.environ[COMMAND_VARIABLE] = command
    run(command)
    return 0


def usage() -> str:
    """The commands, each with the first line of its config."""
    shown = {name: description(conf_dir() / f"{name}.yaml") for name in COMMANDS}
    return (
        "usage: genbench <command> [group=choice ...] [key=value ...]\n\n"
        f"{table(shown | OTHERS)}\n\n"
        "`genbench <command> --help` shows its choices and config."
    )
