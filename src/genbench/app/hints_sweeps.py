"""Help with launchers and sweepers: what Hydra refuses in many lines, or passes over in silence."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from genbench.app.compose import choices
from genbench.app.paths import conf_dirs

GROUPS = ("hydra/launcher", "hydra/sweeper", "hydra/sweeper/pruner")
"""Hydra's own groups of which we have choices."""


def known_choices(group: str, folders: Sequence[Path]) -> list[str]:
    """The choices of one of Hydra's own groups: ours, and those of its installed plugins."""
    Plugins.instance()
    ours = {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}
    try:
        theirs = ConfigStore.instance().list(group)
    except OSError:  # none of theirs
        theirs = []
    return sorted(ours.union(name.removesuffix(".yaml") for name in theirs))


def refuse_unknown_settings(arguments: Sequence[str]) -> None:
    """Stops at a key that the chosen launcher, sweeper or pruner does not have, in one line."""
    for group, choice in _chosen(arguments).items():
        known = _keys(_yaml(group, choice, arguments))
        prefix = group.replace("/", ".") + "."
        for argument in arguments if known else ():
            name = argument.partition("=")[0].removeprefix(prefix).partition(".")[0]
            if argument.startswith(prefix) and name not in known and name[:1] != "_":
                close = get_close_matches(name, known, n=1)
                hint = f": did you mean {close[0]}?" if close else f"; it has {', '.join(known)}"
                raise SystemExit(f"error: '{name}' is no key of {group}={choice}{hint}")


def _chosen(arguments: Sequence[str]) -> dict[str, str]:
    """What is chosen of Hydra's own groups, and what those choices bring below them."""
    given = {group: value for group, _, value in (argument.partition("=") for argument in arguments)}
    chosen = {group: given[group] for group in GROUPS if group in given}
    for group, choice in list(chosen.items()):
        for below, default in _defaults(_yaml(group, choice, arguments)).items():
            chosen.setdefault(f"{group}/{below}", default)
    return chosen


def _yaml(group: str, choice: str, arguments: Sequence[str]) -> DictConfig | None:
    """A choice's yaml, where it is one of ours or the user's and says itself what it has."""
    paths = [folder / group / f"{choice}.yaml" for folder in conf_dirs(arguments)]
    path = next((each for each in paths if each.is_file()), None)
    if path is None or "@package" in path.read_text(encoding="utf-8"):
        return None
    loaded = OmegaConf.load(path)
    assert isinstance(loaded, DictConfig)
    goes_on = any(isinstance(each, str) and each != "_self_" for each in loaded.get("defaults", ()))
    return None if goes_on else loaded


def _defaults(loaded: DictConfig | None) -> dict[str, str]:
    """What a yaml's defaults choose below it."""
    listed = () if loaded is None else loaded.get("defaults", ())
    return {str(key): str(value) for each in listed if isinstance(each, DictConfig) for key, value in each.items()}


def _keys(loaded: DictConfig | None) -> list[str]:
    """What a yaml has, and what its defaults bring below it."""
    own = () if loaded is None else (str(key) for key in loaded)
    return sorted({key for key in own if key[0] != "_"} - {"defaults"} | set(_defaults(loaded)))


def refuse_jobs_without_sweep(command: str, arguments: Sequence[str]) -> None:
    """Stops at a launcher or sweeper for what is no sweep: Hydra would run it here, at once."""
    asked = get_args_parser().parse_args(list(arguments))
    if _is_sweep(arguments) or any((asked.cfg, asked.info, asked.help, asked.hydra_help)):
        return
    for argument in asked.overrides:
        group, _, choice = argument.partition("=")
        does = {"hydra/launcher": "starts", "hydra/sweeper": "chooses"}.get(group)
        if does is None or choice == "basic" or (command, group) == ("benchmark", "hydra/launcher"):
            continue
        raise SystemExit(f"error: {argument} {does} the jobs of a sweep: add -m")


def refuse_intervals_without_search(command: str, arguments: Sequence[str]) -> None:
    """Stops at an interval where the sweeper is Hydra's own, which knows lists only."""
    if not _is_sweep(arguments):
        return
    try:
        parsed = OverridesParser.create().parse_overrides(get_args_parser().parse_args(list(arguments)).overrides)
        interval = next((each for each in parsed if each.is_interval_sweep()), None)
        if interval is None or _sweeper(command, parsed) != "basic":
            return
    except HydraException:  # which will be told
        return
    instead = "add hydra/sweeper=optuna, which searches it" if command == "train" else "give values, KEY=A,B"
    raise SystemExit(f"error: {interval.input_line} is no list of values to run: {instead}")


def _is_sweep(arguments: Sequence[str]) -> bool:
    asked = get_args_parser().parse_args(list(arguments))
    return bool(asked.multirun) or "hydra.mode=MULTIRUN" in asked.overrides


def _sweeper(command: str, overrides: Sequence[Override]) -> str | None:
    """The sweeper of a command line; an experiment may bring one."""
    alone = [str(each.input_line) for each in overrides if not each.is_sweep_override()]
    chosen: Mapping[str, str | None] = choices(command, alone)
    return chosen["hydra/sweeper"]
