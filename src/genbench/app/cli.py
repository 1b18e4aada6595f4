"""The `genbench` command: `genbench <command> [hydra overrides]`.

Hydra and torch are imported only once a command really runs.
"""

import os
import sys
from collections.abc import Sequence

from genbench import __version__
from genbench.app.listing import description, run_list, table, unknown
from genbench.app.paths import conf_dir, user_dir

COMMANDS = (
    *("train", "sweep", "sample", "evaluate", "benchmark", "report", "export", "play"),
    *("import_diffusers", "features_fit", "reference_export", "data_pack", "data_index"),
)
"""Each the name of its config, its schema and its module; on the command line an underscore is a space."""
SHELLS = ("bash", "zsh", "fish")
OTHERS = {
    "list": "Show the config groups, or with a group's name its choices",
    "completion": f'Print tab completion for {", ".join(SHELLS)}: eval "$(genbench completion bash)"',
}
HELP = ("--help", "-h", "help")
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
    name, rest = split(arguments)
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
    elif name in HELP:
        print(usage())
    elif name == "--version":
        print(f"genbench {__version__}")
    elif second_words(name):
        show_second_words(name, rest)
    else:
        raise SystemExit(unknown("command", name, first_words()))
    return 0


def split(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command that the first words are, or else the first word, and what follows."""
    for command in COMMANDS:
        words = command.split("_")
        if list(arguments[: len(words)]) == words:
            return command, list(arguments[len(words) :])
    return (arguments[0], list(arguments[1:])) if arguments else ("--help", [])


def first_words() -> list[str]:
    """Everything that may follow `genbench`."""
    return list(dict.fromkeys([command.split("_")[0] for command in COMMANDS] + list(OTHERS)))


def second_words(first: str) -> list[str]:
    """What may follow the first word of a command of two."""
    return [command.split("_")[1] for command in COMMANDS if command.startswith(f"{first}_")]


def show_second_words(first: str, arguments: Sequence[str]) -> None:
    """Prints the commands that share a first word; a second word that is none of theirs is an error."""
    known = second_words(first)
    if arguments and arguments[0] not in HELP:
        raise SystemExit(unknown(f"{first} command", arguments[0], known))
    shown = described([f"{first}_{word}" for word in known])
    print(f"usage: genbench {first} <command> [key=value ...]\n\n{table(shown)}")


def run_hydra(command: str, arguments: list[str]) -> int:
    """Runs one of the Hydra commands, as if it were a script of its own."""
    from genbench.app.entry import run

    sys.argv = [sys.argv[0], *arguments]
    os.environ[COMMAND_VARIABLE] = command
    run(command)
    return 0


def described(commands: Sequence[str]) -> dict[str, str]:
    """Commands as they are typed, each with the first line of its config."""
    return {name.replace("_", " "): description(conf_dir() / f"{name}.yaml") for name in commands}


def usage() -> str:
    """All commands and what they are for."""
    return (
        "usage: genbench <command> [group=choice ...] [key=value ...]\n\n"
        f"{table(described(COMMANDS) | OTHERS)}\n\n"
        "`genbench <command> --help` shows its choices and config."
    )
