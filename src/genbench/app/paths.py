"""Where the configs are."""

import os
from collections.abc import Sequence
from pathlib import Path

CONFIG_DIR_FLAGS = ("--config-dir", "-cd")


def conf_dir() -> Path:
    """The shipped `conf/`: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside, checkout = package / "conf", package.parent.parent / "conf"
    return inside if inside.is_dir() else checkout


def user_dir(arguments: Sequence[str]) -> Path | None:
    """The folder given by `--config-dir`, if any."""
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in CONFIG_DIR_FLAGS:
            value = value if equals else "".join(arguments[position + 1 : position + 2])
            return Path(value).absolute() if value else None
    return None


def own_flags(arguments: Sequence[str]) -> list[str]:
    """What gives another command line the same `--config-dir`."""
    own = user_dir(arguments)
    return [] if own is None else ["--config-dir", str(own)]


def conf_dirs(arguments: Sequence[str]) -> list[Path]:
    """The folders that choices are looked up in, the user's before the shipped one."""
    own = user_dir(arguments)
    return [conf_dir()] if own is None else [own, conf_dir()]


def cache_dir() -> Path:
    """Where features of stored images are kept: `$GENBENCH_CACHE`, or `~/.cache/genbench`."""
    return Path(os.environ.get("GENBENCH_CACHE") or Path.home() / ".cache" / "genbench")
