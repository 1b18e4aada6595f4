"""`genbench report`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genbench.app.build import resolve
from genbench.app.reporting import report
from genbench.app.validate import validate_config
from genbench.core import ConfigError


def run(config: DictConfig) -> None:
    """Lays runs that are already judged side by side.

    Raises:
        ConfigError: no folder, or several without a place for their report.
    """
    plain = resolve(config)
    validate_config(plain, "report")
    roots = [plain["runs"]] if isinstance(plain["runs"], str) else plain["runs"]
    if not roots:
        raise ConfigError("runs=[] names no folder: give runs=FOLDER, or a list of folders")
    if len(roots) > 1 and plain["out"] is None:
        raise ConfigError("a report of several folders belongs to none of them: give out=FOLDER")
    out = Path(plain["out"] or roots[0])
    report(roots, out, out.absolute().name)
