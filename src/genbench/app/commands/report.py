"""`genbench report`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genbench.app.build import resolve
from genbench.app.reporting import report
from genbench.app.validate import validate_config


def run(config: DictConfig) -> None:
    """Lays runs that are already judged side by side."""
    plain = resolve(config)
    validate_config(plain, "report")
    roots = [plain["runs"]] if isinstance(plain["runs"], str) else plain["runs"]
    report(roots, Path(plain["out"] or roots[0]), Path(roots[0]).name)
