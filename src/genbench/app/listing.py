"""`genbench list`: the config groups and their choices, read from the first lines of the yamls.

Nothing but the standard library is imported, so that the answer is immediate.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from genbench.app.paths import conf_dirs, user_dir

NOT_A_CHOICE = frozenset({"hydra"})


def description(yaml: Path) -> str:
    """The first comment of a yaml, below Hydra's package header."""
    with yaml.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("#"):
                break
            text = line.lstrip("#").strip()
            if not text.startswith("@package"):
                return text
    return ""


def groups(dirs: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Every group's choices; a choice of an earlier folder hides one of the same name in a later folder."""
    found: dict[str, dict[str, Path]] = {}
    for folder in reversed(dirs):
        for group in sorted(p for p in folder.iterdir() if p.is_dir() and p.name not in NOT_A_CHOICE):
            choices = {yaml.stem: yaml for yaml in group.glob("*.yaml")}
            if choices:
                found[group.name] = dict(sorted((found.get(group.name, {}) | choices).items()))
    return dict(sorted(found.items()))


def table(rows: Mapping[str, str]) -> str:
    """Two aligned columns."""
    width = max(map(len, rows), default=0)
    return "\n".join(f"  {name:<{width}}  {text}".rstrip() for name, text in rows.items())


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """An error that names the possibilities and the likeliest one."""
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"error: no {what} '{name}': choose one of {', '.join(known)}{hint}"


def run_list(arguments: Sequence[str]) -> None:
    """Prints all groups, or the choices of the groups named, with their descriptions."""
    own = user_dir(arguments)
    if own is not None and not own.is_dir():
        raise SystemExit(f"error: --config-dir {own} is no folder")
    found = groups(conf_dirs(arguments))
    named = [a for a in arguments if not a.startswith("-") and (own is None or Path(a).absolute() != own)]
    for group in named:
        if group not in found:
            raise SystemExit(unknown("config group", group, list(found)))
    if named:
        for group in named:
            print(f"{group}:")
            print(table({choice: description(yaml) for choice, yaml in found[group].items()}))
    else:
        print(table({group: ", ".join(choices) for group, choices in found.items()}))
        print("\n`genbench list GROUP` describes the choices of a group.")
